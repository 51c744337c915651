"""``multitask cache``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath, extensions_option, set_option


@click.command()
@click.argument("place", type=FilePath, required=False, metavar="[CONFIG|DIR]")
@set_option
@extensions_option
@click.option("--clear", "clearing", is_flag=True, help="Remove it all; runs that use it go on.")
def command(place: Path | None, overrides: tuple[str, ...], allow_extensions: bool, clearing: bool) -> None:
    """Show what is kept on disk of decoded images and exported runs.

    In the folder DIR, in that of CONFIG, or in the default one, where exported runs are.
    """
    from multitask.config import load_config
    from multitask.errors import UserError
    from multitask.inference.export.cache import kept_exports
    from multitask.reporting.console import say, show_cache
    from multitask.utils.files import size_text
    from multitask.utils.shared_arrays import clear, default_folder, kept_files

    folder = default_folder()
    if place is not None and place.is_dir():
        folder = place
        if overrides:
            raise UserError(f"--set: needs a config, and {place} is a folder")
    elif place is not None:
        config = load_config(place, overrides, allow_extensions=allow_extensions)
        folder = Path(config.data.cache_dir) if config.data.cache_dir else folder
    elif overrides:
        raise UserError("--set: needs a config")
    if not clearing:
        show_cache(folder, kept_files(folder), kept_exports(folder))
        return
    freed, busy = clear(folder)
    for path in kept_exports(folder):
        freed += path.stat().st_size
        path.unlink()
    say(f"{folder}: {size_text(freed)} freed")
    for path in busy:
        say(f"{path}: is being made, and was left")
