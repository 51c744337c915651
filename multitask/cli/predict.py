"""``multitask predict``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath, extensions_option, quiet_option, run_argument


@click.command()
@run_argument
@click.option("--data", type=FilePath, required=True, help="The data root that holds the images to answer.")
@click.option("-o", "--output", type=FilePath, required=True, help="The CSV file to write.")
@extensions_option
@quiet_option
def command(run: Path, data: Path, output: Path, allow_extensions: bool, quiet: bool) -> None:
    """Answer the images that DATA asks for with RUN; written only when every image was answered."""
    from multitask.runs.config import read_run

    trained = read_run(run, allow_extensions=allow_extensions)

    # Only now: what follows takes seconds to import.
    from multitask.reporting.console import say
    from multitask.reporting.progress import make_progress
    from multitask.runs.predict import write_submission

    progress = make_progress(quiet)
    try:
        num = write_submission(trained, data, output, progress)
    finally:
        progress.close()
    if not quiet:
        say(f"{num} answers in {output}")
