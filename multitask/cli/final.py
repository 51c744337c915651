"""``multitask final``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import data_option, extensions_option, output_option, quiet_option, run_argument


@click.command()
@run_argument
@output_option("output", help="The run folder to write.", required=True)
@click.option("--resume", is_flag=True, help="Go on from the last finished epoch of the run in --output.")
@data_option
@extensions_option
@quiet_option
def command(run: Path, output: Path, resume: bool, data: Path | None, allow_extensions: bool, quiet: bool) -> None:
    """Train the config of RUN, a run in folds, on all groups.

    Nobody validates it. It trains for as many epochs as the folds kept in the median, and answers by the decode rule,
    temperatures, pooling and prediction sets that were fitted on their out-of-fold predictions. It has no scores of its
    own: its report is that of RUN, and says so.
    """
    from multitask.runs.config import read_run

    trained = read_run(run, data, allow_extensions=allow_extensions)

    # Only now: what follows takes seconds to import.
    from multitask.cli.train import train_and_report
    from multitask.runs.final import final_config

    train_and_report(final_config(trained), output, resume, quiet)
