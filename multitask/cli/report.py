"""``multitask report``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import data_option, run_argument


@click.command()
@run_argument
@click.option("--split", type=click.Choice(["val", "train", "all", "eval"]), default="val", show_default=True)
@data_option
def command(run: Path, split: str, data: Path | None) -> None:
    """Show the report of RUN, as it was evaluated, and draw its page anew."""
    from multitask.finished import read_run, write_page
    from multitask.reporting.console import show_paths, show_report

    folder, config = read_run(run, data)
    report = folder.read_report(split)
    page = write_page(folder, config, split)
    show_report(report)
    show_paths({"report": page})
