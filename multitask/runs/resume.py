"""The record of what a run begins with, which a resumed run must match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitask.config import Config
from multitask.data.data_facts import DataFacts
from multitask.errors import UserError
from multitask.progress import EpochRecord, Progress, kept_epoch
from multitask.runs.comparison import CHECKPOINT_STEPS, PARALLEL, TRACKING
from multitask.runs.config import load_run_config
from multitask.runs.folder import RunFolder
from multitask.runs.records import Environment
from multitask.settings import flatten
from multitask.training.checkpoint import load_checkpoint
from multitask.utils.files import write_atomically

EPOCHS = "training.epochs"


def begin(
    folder: RunFolder,
    config: Config,
    data: DataFacts,
    began: Environment,
    progress: Progress,
    num_folds: int | None = None,
) -> None:
    """Writes what a run begins with; or, where a run is in the folder, checks that it began with the same.

    More epochs are taken too where nothing in the earlier ones depends on how many there are: the run then goes on as
    if it had begun with them.

    Args:
        folder: the run's.
        config: the run's.
        data: as of ``DataModule.facts``.
        began: what the run depends on beside its config.
        progress: notified where the config has more epochs than the run began with.
        num_folds: of a run in folds.

    Raises:
        UserError: the run in the folder began with other settings or other data.
    """
    if not folder.exists():
        folder.create(config.to_yaml(), began, num_folds)
        return
    old, new = (flatten(which.model_dump(mode="json")) for which in (load_run_config(folder), config))
    longer = _check_settings(folder, old, new)
    if longer:
        progress.note(f"{EPOCHS}: {new[EPOCHS]}, where the run began with {old[EPOCHS]}; all else is as it was")
    if folder.data.exists() and folder.read_data().fingerprint != data.fingerprint:
        where = config.data.root or "data.source"
        raise UserError(f"{where}: is not the data that the run in {folder.path} began with")
    if longer:
        folder.report().unlink(missing_ok=True)  # of fewer epochs
        write_atomically(folder.config, config.to_yaml())


def _check_settings(folder: RunFolder, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Checks flattened settings, those that a run began with and those that it is to go on with.

    Returns:
        Whether they differ, in that there are more epochs.

    Raises:
        UserError: they differ in anything else.
    """
    free = (TRACKING, CHECKPOINT_STEPS, PARALLEL)
    changed = [key for key in {**old, **new} if key not in free and old.get(key) != new.get(key)]
    if not changed:
        return False
    if changed == [EPOCHS] and old[EPOCHS] < new[EPOCHS]:
        if (why := _depends_on_length(new)) is not None:
            raise UserError(
                f"{EPOCHS}: the run in {folder.path} began with {old[EPOCHS]}, found {new[EPOCHS]}; {why} depends on "
                "how many there are, so it cannot go on as if it had begun with more: train anew"
            )
        return True
    key = changed[0]
    raise UserError(
        f"{key}: the run in {folder.path} began with {old.get(key)!r}, found {new.get(key)!r}"
        + (f" (and {len(changed) - 1} more)" if len(changed) > 1 else "")
    )


def _depends_on_length(settings: Mapping[str, Any]) -> str | None:
    """The setting that makes a run depend on its number of epochs, beside its end; None: there is none."""
    schedule = settings["training.schedule.name"]
    if schedule != "step":
        return f"training.schedule ({schedule}, not step)"
    return next((key for key, value in settings.items() if key.endswith(".deferred") and value), None)


def check_frozen(folder: RunFolder, digest: str | None, weights: str) -> None:
    """Checks that a frozen backbone has the weights that the run began with: its checkpoints do not hold them.

    Args:
        folder: the run's, begun.
        digest: of the backbone's weights; None where it is not frozen whole.
        weights: the setting that names them.

    Raises:
        UserError: it has others.
    """
    began = folder.read_environment().frozen_backbone
    if began is not None and began != digest:
        raise UserError(
            f"model.backbone.weights: {weights} does not hold the weights that the run in {folder.path} began with"
        )


def check_best(folder: RunFolder, history: Sequence[EpochRecord]) -> None:
    """Checks that the best epoch's weights are those of the history, or of the next epoch, after which a run died.

    Raises:
        UserError: they are of another epoch, or damaged.
    """
    best = kept_epoch(history)
    found = load_checkpoint(folder.best).get("epoch")
    if found not in (best, len(history) + 1):
        raise UserError(f"{folder.best}: is of epoch {found}, but the best epoch of {folder.last} is {best}")
