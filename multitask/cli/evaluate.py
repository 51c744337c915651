"""``multitask evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from multitask.cli.options import (
    complete_names,
    data_option,
    extensions_option,
    quiet_option,
    run_argument,
    views_except_option,
    views_option,
)
from multitask.cli.work import over_processes
from multitask.utils.ranks import ranks

if TYPE_CHECKING:
    from multitask.runs.config import TrainedRun


@click.command()
@run_argument
@click.option(
    "--split",
    type=click.Choice(["val", "train", "test", "all", "eval"]),
    default="val",
    show_default=True,
    help="Whom to score on; test: as the source says; eval: the images to be answered, where answers are known.",
)
@click.option(
    "--engine",
    shell_complete=complete_names("multitask.inference.engines.ENGINES"),
    help="Compare RUN's scores with this engine and with its own network; nothing is replaced.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "bf16", "int8"]),
    help="That the engine computes in; bf16: openvino.",
)
@views_option
@views_except_option
@data_option
@extensions_option
@quiet_option
@over_processes("start it again")
def command(
    run: Path,
    split: str,
    engine: str | None,
    precision: str | None,
    views: str,
    views_except: tuple[str, ...],
    data: Path | None,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Score RUN on one of its splits: console, report.json and report.html (report-SPLIT for the others).

    With views the report is report-SPLIT-VIEWS; with an engine report-SPLIT-ENGINE-PRECISION.json.

    Over several processes: torchrun --nproc-per-node N -m multitask evaluate RUN.
    """
    from multitask.errors import UserError
    from multitask.runs.config import read_run

    here = ranks()
    quiet = quiet or not here.is_main
    if precision and not engine:
        raise UserError("--precision: would be ignored without --engine")
    if engine and views:
        raise UserError("--views: would be ignored beside --engine; leave one of them out")
    trained = read_run(run, data, allow_extensions=allow_extensions)

    if engine:
        _compare_engine(trained, split, engine, precision, quiet)
        return

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
    if not here.is_main:
        return
    if not quiet:
        show_report(report)
    page = write_page(trained, report.split)
    if not quiet:
        show_paths({"report": page})


def _compare_engine(trained: TrainedRun, split: str, engine: str, precision: str | None, quiet: bool) -> None:
    """Writes what an engine costs, and shows it."""
    from multitask.inference.engines import engine_settings

    settings = engine_settings(engine, precision)
    settings.require()

    from multitask.inference.engine_report import evaluate_engine
    from multitask.reporting.console import make_table, say, score, show_paths, show_table
    from multitask.reporting.progress import make_progress
    from multitask.utils.spelling import plural

    progress = make_progress(quiet)
    try:
        report, name = evaluate_engine(trained, split, settings, progress)
    finally:
        progress.close()
    if quiet:
        return
    table = make_table(
        f"{report.engine}, {report.precision}, against the run", ["score", "run", "engine", "difference"]
    )
    for row in report.scores:
        low, high = row.difference_ci
        difference = f"{row.difference:+.4f} ({low:+.4f} to {high:+.4f})"
        table.add_row(row.metric, score(row.run), score(row.engine), difference)
    show_table(table)
    say(f"{report.agreement:.2%} of {plural(report.num_images, 'image gets', 'images get')} the same class")
    show_paths({"report": trained.folder.report(name)})
