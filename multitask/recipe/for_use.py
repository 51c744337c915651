"""Runs that stages leave for use."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from multitask.bakeoff.runs import Ticking, is_run_of
from multitask.config import Config
from multitask.evaluation.report_schema import RunReport
from multitask.recipe.lab import Lab
from multitask.recipe.progress import FoldProgress
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.cross_validation import run_folds
from multitask.runs.evaluate import evaluate
from multitask.runs.folder import RunFolder
from multitask.runs.page import write_page
from multitask.runs.run import run


def run_in_folds(
    lab: Lab,
    out: Path,
    config: Config,
    num_folds: int,
    shown: FoldProgress,
    of_folds: Sequence[Config] | None = None,
) -> RunReport:
    """Trains a config in folds, or goes on with it.

    Args:
        lab: where it is done.
        out: the run's folder; a run of another config there, as of a smaller budget, is removed.
        config: everything but the folds.
        num_folds: how many.
        shown: notified of every epoch.
        of_folds: as of ``run_folds``.

    Returns:
        The report on all groups.

    Raises:
        BudgetSpentError: no time is left; it can be gone on with.
        UserError: something is not as it must be.
    """
    _clear(out, config)
    result = run_folds(
        config,
        num_folds,
        out,
        resume=True,
        on_epoch=shown.epoch_done,
        progress=shown,
        reuse=lab.folder.reuse,
        of_folds=of_folds,
    )
    write_page(TrainedRun(result.folder, config), "val")
    shown.end(num_folds)
    assert result.report is not None, "folds validate"
    return result.report


def run_on_all(lab: Lab, out: Path, config: Config, shown: FoldProgress) -> None:
    """Trains a config on all groups, or goes on with it; the rest as ``run_in_folds``."""
    _clear(out, config)
    shown.begin(out.name)
    result = run(config, out, resume=True, on_epoch=shown.epoch_done, progress=shown, reuse=lab.folder.reuse)
    write_page(TrainedRun(result.folder, config), "val")
    shown.end(1)


def answer_by_views(lab: Lab, out: Path) -> tuple[str, str]:
    """Has a run for use answer those who validate by the views that were kept, so that it keeps promises with them.

    Args:
        lab: where it is done.
        out: the run's folder.

    Returns:
        The page within the recipe's folder, and the line that answers new images so.
    """
    assert lab.views is not None, "they were kept"
    trained = read_run(out, allow_extensions=True)  # which the recipe was allowed
    report = evaluate(trained, "val", Ticking(lab.inner), lab.views)
    write_page(trained, report.split)
    page = trained.folder.report(report.split, "html").relative_to(lab.folder.path)
    return str(page), f"multitask predict {out} PATH {lab.views.as_options}"


def _clear(out: Path, config: Config) -> None:
    if RunFolder(out).exists() and not is_run_of(RunFolder(out), config):
        shutil.rmtree(out)
