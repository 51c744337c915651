"""Runs that stages leave for use."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from multitask.bakeoff.runs import is_run_of
from multitask.config import Config
from multitask.evaluation.report_schema import RunReport
from multitask.recipe.lab import Lab
from multitask.recipe.progress import FoldProgress
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import run_folds
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


def _clear(out: Path, config: Config) -> None:
    if RunFolder(out).exists() and not is_run_of(RunFolder(out), config):
        shutil.rmtree(out)
