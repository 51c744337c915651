"""``multitask runs``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath


@click.command()
@click.argument("folder", type=FilePath, default=Path("runs"))
def command(folder: Path) -> None:
    """List the runs in FOLDER (runs) with their scores, oldest first."""
    from multitask.reporting.console import say
    from multitask.reporting.run.console import show_runs
    from multitask.runs.folder import list_runs, overview

    rows = [overview(run, folder) for run in list_runs(folder)]
    if not rows:
        say(f"no runs in {folder}")
        return
    show_runs(rows, list(dict.fromkeys(task for row in rows for task in row.tasks)))
