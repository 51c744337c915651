"""``multitask evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import (
    data_option,
    extensions_option,
    quiet_option,
    run_argument,
    views_except_option,
    views_option,
)


@click.command()
@run_argument
@click.option(
    "--split",
    type=click.Choice(["val", "train", "test", "all", "eval"]),
    default="val",
    show_default=True,
    help="Whom to score on; test: as the source says; eval: the images to be answered, where answers are known.",
)
@views_option
@views_except_option
@data_option
@extensions_option
@quiet_option
def command(
    run: Path,
    split: str,
    views: str,
    views_except: tuple[str, ...],
    data: Path | None,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Score RUN on one of its splits: console, report.json and report.html (report-SPLIT for the others).

    With views the report is report-SPLIT-VIEWS.
    """
    from multitask.runs.config import read_run

    trained = read_run(run, data, allow_extensions=allow_extensions)

    # Only now: what follows takes seconds to import.
    from multitask.evaluation.views import Views
    from multitask.reporting.console import show_paths
    from multitask.reporting.progress import make_progress
    from multitask.reporting.run.console import show_report
    from multitask.runs.evaluate import evaluate
    from multitask.runs.page import write_page

    config = trained.config
    averaged = Views.parse(views.split(",") if views else (), views_except, config.space(), bool(config.augment.flip))
    progress = make_progress(quiet)
    try:
        report = evaluate(trained, split, progress, averaged)
    finally:
        progress.close()
    page = write_page(trained, report.split)
    if not quiet:
        show_report(report)
        show_paths({"report": page})
