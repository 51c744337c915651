"""``multitask ensemble``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from multitask.cli.options import FilePath, complete_runs, extensions_option, output_option, quiet_option

if TYPE_CHECKING:
    from multitask.evaluation.report_schema import RunReport


@click.command()
@click.argument("runs", type=FilePath, nargs=-1, required=True, metavar="RUN RUN...", shell_complete=complete_runs)
@output_option("output", help="The run folder to write.", required=True)
@click.option(
    "--weights",
    type=click.Choice(["fitted", "equal"]),
    help="Of the runs, per head: fitted by log-loss on what all answered unseen, or equal.  [default: fitted]",
)
@click.option(
    "--vote",
    type=click.Choice(["soft", "hard"]),
    help="Pool probabilities, or vote for labels; a tie is broken per head by the mean probability.  [default: soft]",
)
@click.option("--soup", type=click.Choice(["greedy", "uniform"]), help="Average weights instead; see below.")
@click.option(
    "--batch-norm",
    type=click.Choice(["average", "estimate"]),
    help="Of a soup: average running statistics too, or take them anew from training images.  [default: average]",
)
@extensions_option
@quiet_option
def command(
    runs: tuple[Path, ...],
    output: Path,
    weights: str | None,
    vote: str | None,
    soup: str | None,
    batch_norm: str | None,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Make one run of RUNs of one label space, single or in folds, that answer together.

    They may differ in backbone, image size, crop, normalisation and sharing. The result holds copies of them, and
    everything that takes a run takes it. Weights, decode rules and scores are of the images that all of them answered
    while these were unseen: groups that validated single runs, all groups of runs in folds.

    A soup is one network whose weights are the mean of RUNs' of one architecture and preprocessing that validated on
    the same images: of all, or greedily of those that lower the log-loss there.
    """
    from multitask.errors import UserError
    from multitask.runs.config import read_run

    if soup is not None:
        for name, given in (("weights", weights), ("vote", vote)):
            if given is not None:
                raise UserError(f"--{name}: would be ignored beside --soup, which averages weights")
    elif batch_norm is not None:
        raise UserError("--batch-norm: would be ignored without --soup")
    if vote == "hard" and weights is not None:
        raise UserError("--weights: would be ignored beside --vote hard, by which each run has one vote")
    for run in runs:
        read_run(run, allow_extensions=allow_extensions)  # what one lacks is said before the seconds that follow

    # Only now: what follows takes seconds to import.
    from multitask.reporting.console import show_paths
    from multitask.reporting.run.console import show_report
    from multitask.runs.ensemble import make_ensemble
    from multitask.runs.page import write_page

    if soup is None:
        report = make_ensemble(
            runs,
            output,
            weighting="equal" if weights == "equal" else "fitted",
            vote="hard" if vote == "hard" else "soft",
            allow_extensions=allow_extensions,
        )
    else:
        report = _soup(runs, output, soup, batch_norm, allow_extensions, quiet)
    if not quiet:
        show_report(report)
    page = write_page(read_run(output, allow_extensions=allow_extensions), "val")
    if not quiet:
        show_paths({"run": output, "report": page})


def _soup(
    runs: tuple[Path, ...], output: Path, rule: str, batch_norm: str | None, allow_extensions: bool, quiet: bool
) -> RunReport:
    from multitask.reporting.progress import make_progress
    from multitask.runs.soup import make_soup

    progress = make_progress(quiet)
    try:
        return make_soup(
            runs,
            output,
            rule="uniform" if rule == "uniform" else "greedy",
            batch_norm="estimate" if batch_norm == "estimate" else "average",
            allow_extensions=allow_extensions,
            progress=progress,
        )
    finally:
        progress.close()
