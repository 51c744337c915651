"""Pseudo-labels of runs in folds: each fold learns from labels that owe nothing to the groups that validate it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from multitask.config import Config
from multitask.data.dataset import Dataset
from multitask.evaluation.predictions import Predictions
from multitask.pseudo.config import with_pseudo_labels
from multitask.runs.config import TrainedRun
from multitask.runs.cross_validation import fold_configs


def seen_folds(teacher: TrainedRun, config: Config) -> set[int]:
    """The folds of what is to be trained that groups validate of which the teacher's network of that fold was trained.

    There are none where both split their groups alike, or the teacher is not in folds.

    Args:
        teacher: the run that labels.
        config: what is to be trained in as many folds, everything but the folds.
    """
    folder, num_folds = teacher.folder, teacher.folder.num_folds
    if num_folds is None:
        return set()
    seen = set()
    space, learned = teacher.config.space(), teacher.config.learned_space()
    for fold, one in enumerate(fold_configs(config, num_folds)):
        dataset = Dataset.read(one.data, one.space(), one.seed)
        validate = one.data.source.own_names(dataset.samples.groups[dataset.split.val].tolist())
        answered = Predictions.from_csv(folder.fold(fold).predictions(), space, learned).groups.tolist()
        if not set(validate) <= set(teacher.config.data.source.own_names(answered)):
            seen.add(fold)
    return seen


def fold_training_configs(config: Config, table: Path, of_folds: Sequence[Path]) -> list[Config]:
    """The config of each fold, but for who validates, as of ``run_folds``.

    Args:
        config: that trains on ``table``.
        table: the labels of all networks.
        of_folds: those that each fold learns from, of which some may be ``table``.
    """
    return [config if mine == table else with_pseudo_labels(config, mine, instead_of=table) for mine in of_folds]


def caveat(folds: Collection[int]) -> str:
    """What is to be said of folds that learned from labels of all networks; empty where there are none."""
    if not folds:
        return ""
    word, them = ("fold", "it") if len(folds) == 1 else ("folds", "them")
    return (
        f"{word} {', '.join(map(str, sorted(folds)))} learned from labels of all networks, since the one that was not "
        f"trained on the groups that validate {them} was sure of nothing, or there was none; a little of the scores "
        "may be what the others knew of these groups"
    )
