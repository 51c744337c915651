"""``multitask cache``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from multitask.cli.options import FilePath, extensions_option, set_option
from multitask.cli.work import over_processes
from multitask.errors import UserError
from multitask.utils.ranks import ranks

if TYPE_CHECKING:
    from multitask.config import Config


@click.command()
@click.argument("place", type=FilePath, required=False, metavar="[CONFIG|DIR]")
@set_option
@extensions_option
@click.option("--make", "making", is_flag=True, help="Decode the images of CONFIG now, and keep them.")
@click.option("--clear", "clearing", is_flag=True, help="Remove it all; runs that use it go on.")
@over_processes("start it again")
def command(
    place: Path | None, overrides: tuple[str, ...], allow_extensions: bool, making: bool, clearing: bool
) -> None:
    """Show what is kept on disk of decoded images and exported runs.

    In the folder DIR, in that of CONFIG, or in the default one, where exported runs are.

    Over several processes: torchrun --nproc-per-node N -m multitask cache CONFIG --make.
    """
    from multitask.config import load_config
    from multitask.utils.shared_arrays import default_folder

    here, config = ranks(), None
    if making and clearing:
        raise UserError("--make: cannot be combined with --clear")
    if here.size > 1 and not making:
        raise UserError(
            f"multitask cache: works in one process without --make, but WORLD_SIZE is {here.size}; start it without "
            "torchrun"
        )
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
    if making:
        _make(config)
    if clearing:
        _clear(folder)
    elif here.is_main:
        _show(folder)


def _show(folder: Path) -> None:
    from multitask.inference.export.cache import kept_exports
    from multitask.reporting.console import show_cache
    from multitask.utils.shared_arrays import kept_files

    show_cache(folder, kept_files(folder), kept_exports(folder))


def _make(config: Config | None) -> None:
    """Decodes a config's images, and finds their faces, into its folder."""
    if config is None:
        raise UserError("--make: needs a config")
    if config.data.cache != "disk":
        raise UserError(
            f"--make: keeps images on disk, and data.cache is {config.data.cache}; set it to disk, here and in training"
        )
    from multitask.reporting.progress import make_progress
    from multitask.runs.data_module import DataModule
    from multitask.runs.several_processes import check_same

    here = ranks()
    progress = make_progress(quiet=not here.is_main)
    try:
        data = DataModule(config)
        check_same(config, data.dataset, here)
        if data.store.cache != "disk":
            raise UserError(f"--make: data.sampler {config.data.sampler.name} reads images anew, and keeps none")
        data.store.images(progress, here)
    finally:
        progress.close()


def _clear(folder: Path) -> None:
    from multitask.inference.export.cache import kept_exports
    from multitask.reporting.console import say_wrapped
    from multitask.utils.files import size_text
    from multitask.utils.shared_arrays import clear

    freed, busy = clear(folder)
    for path in kept_exports(folder):
        freed += path.stat().st_size
        path.unlink()
    say_wrapped(f"{folder}: {size_text(freed)} freed")
    for path in busy:
        say_wrapped(f"{path}: is being made, and was left")
