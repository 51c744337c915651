"""The final run: a config that was scored in folds, trained on all groups with no validation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path

from multitask.config import Config
from multitask.errors import UserError
from multitask.progress import EpochRecord, Progress
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import members
from multitask.runs.fitted_on_folds import FoldsRun
from multitask.runs.run import RunResult, run
from multitask.training.settings import TrainingSettings


def final_config(trained: TrainedRun) -> Config:
    """The config of the final run: all groups train, for as many epochs as the folds kept in the median.

    A half is rounded up; a warm-up that would be as long is cut to the epoch before the last.

    Args:
        trained: a run in folds, all of them finished.

    Raises:
        UserError: it is not in folds, or a fold is not finished.
    """
    folder, config = trained
    if folder.num_folds is None:
        raise UserError(
            f"{folder.path}: is not in folds, which say how long to train and how to decode; "
            f"`{trained.folds_command}` makes such a run"
        )
    members(trained)
    kept = FoldsRun.read(folder.path, config).kept_epochs
    epochs = math.floor(statistics.median(kept) + 0.5)
    keep = config.training.keep_rule
    changes: dict[str, object] = {
        "data.val_fraction": 0.0,
        "data.pick_fraction": 0.0,
        **config.training.changes_to_length(epochs),
        "training.patience": None,
        "final": str(folder.path.resolve()),
    }
    if config.data.train_groups is None and config.data.test_folds is None:
        changes["data.split_seed"] = None  # which deals nobody now
    if keep.asks:  # where nobody validates, the best epoch is the last
        changes["training.keep.name"] = "best"
    else:
        changes["training.monitor"] = TrainingSettings.model_fields["monitor"].default
    return config.with_changes(changes)


def train_final(
    trained: TrainedRun,
    out: Path,
    *,
    resume: bool = False,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    progress: Progress | None = None,
    reuse: Path | None = None,
) -> RunResult:
    """Trains the config of a run in folds on all groups; its report is the folds', and says so.

    Args:
        trained: a run in folds, all of them finished.
        out: as of ``run``, and what follows too.
        resume: likewise.
        on_epoch: likewise.
        progress: likewise.
        reuse: likewise.

    Raises:
        UserError: as of ``final_config`` and ``run``.
    """
    config = final_config(trained)
    return run(config, out, resume=resume, on_epoch=on_epoch, progress=progress, reuse=reuse)
