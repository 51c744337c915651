"""``multitask eda``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath, config_argument, extensions_option, quiet_option, set_option


@click.command()
@config_argument
@set_option
@click.option("--out", type=FilePath, default=Path("eda.html"), show_default=True, help="The page.")
@extensions_option
@quiet_option
def command(config: Path, overrides: tuple[str, ...], out: Path, allow_extensions: bool, quiet: bool) -> None:
    """Look at the data of CONFIG before anything is learned of it, and write what is found to a page.

    Classes, numbers and images; the same image under two groups; what cannot be read.
    """
    from multitask.config import load_config
    from multitask.errors import UserError

    if out.is_dir():
        raise UserError(f"--out: must be a file, found the folder {out}")
    if not out.parent.is_dir():
        raise UserError(f"--out: no such folder: {out.parent}")
    settings = load_config(config, overrides, allow_extensions=allow_extensions)

    # Only now: what follows takes seconds to import.
    from datetime import UTC, datetime

    from multitask.data.eda import inspect
    from multitask.reporting.console import show_paths
    from multitask.reporting.eda.console import show_inspection
    from multitask.reporting.eda.page import render_inspection
    from multitask.reporting.progress import make_progress
    from multitask.runs.data_module import DataModule
    from multitask.utils.files import write_atomically
    from multitask.utils.seeds import derive

    data = DataModule(settings)
    progress = make_progress(quiet)
    try:
        found = inspect(
            data.samples,
            data.split,
            derive(settings.seed, "eda"),
            lambda name, total: progress.stage(name, total, "images"),
            data.preprocessing,
            data.store.of_each,
        )
    finally:
        progress.close()
    write_atomically(out, render_inspection(found, config.stem, datetime.now(UTC).isoformat()))
    if not quiet:
        show_inspection(found)
        show_paths({"page": out})
