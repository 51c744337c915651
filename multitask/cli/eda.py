"""``multitask eda``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import (
    FilePath,
    complete_runs,
    config_argument,
    extensions_option,
    output_option,
    quiet_option,
    set_option,
)


@click.command()
@config_argument
@set_option
@output_option("out", help="The page.", default=Path("eda.html"), show_default=True)
@click.option(
    "--json", "json_file", type=FilePath, help="Also the findings in sentences, and the sources' gap, as JSON."
)
@click.option(
    "--run",
    type=FilePath,
    shell_complete=complete_runs,
    help="A run of the same labels: whether its features tell several sources apart.",
)
@extensions_option
@quiet_option
def command(
    config: Path,
    overrides: tuple[str, ...],
    out: Path,
    json_file: Path | None,
    run: Path | None,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Look at the data of CONFIG before anything is learned of it, and write what is found to a page.

    Classes, numbers and images; the same image under two groups; what cannot be read.
    """
    from multitask.config import load_config
    from multitask.errors import UserError

    for option, file in (("--out", out), ("--json", json_file)):
        if file is not None and file.is_dir():
            raise UserError(f"{option}: must be a file, found the folder {file}")
        if file is not None and not file.parent.is_dir():
            raise UserError(f"{option}: no such folder: {file.parent}")
    settings = load_config(config, overrides, allow_extensions=allow_extensions)
    if run is not None and not settings.data.source_names:
        raise UserError("--run: would be ignored: data.source is not of several sources, which it could tell apart")

    # Only now: what follows takes seconds to import.
    import json
    from datetime import UTC, datetime

    from multitask.data.eda import inspect
    from multitask.reporting.console import show_paths
    from multitask.reporting.eda.console import show_inspection
    from multitask.reporting.eda.page import render_inspection
    from multitask.reporting.eda.text import sentences
    from multitask.reporting.progress import make_progress
    from multitask.runs.config import read_run
    from multitask.runs.data_module import DataModule
    from multitask.runs.task_features import TaskFeatures
    from multitask.utils.files import write_atomically
    from multitask.utils.records import to_json_data
    from multitask.utils.seeds import derive

    encode = None
    if run is not None:
        encode = TaskFeatures(read_run(run, allow_extensions=allow_extensions), settings)
    data = DataModule(settings)
    progress = make_progress(quiet)
    try:
        found = inspect(
            data.samples,
            data.split,
            derive(settings.seed, "eda"),
            lambda name, total: progress.stage(name, total, "images"),
            data.preprocessing,
            data.store.preprocessings,
            encode,
        )
    finally:
        progress.close()
    if not quiet:
        show_inspection(found)  # first: what took so long to look at is told though the disk is full
    write_atomically(out, render_inspection(found, config.stem, datetime.now(UTC).isoformat()))
    if json_file is not None:
        facts = {"findings": sentences(found), "gap": None if found.gap is None else to_json_data(found.gap)}
        write_atomically(json_file, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    if not quiet:
        show_paths({"page": out, **({} if json_file is None else {"findings": json_file})})
