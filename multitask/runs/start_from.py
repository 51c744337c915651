"""A run that starts from another's network, as from heads that were trained on a frozen backbone's features."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from multitask.config import Config
from multitask.data.settings import DataSettings
from multitask.data.sources import SeveralSettings
from multitask.errors import UserError
from multitask.model.network import Network
from multitask.runs.build import load_weights
from multitask.runs.config import read_run_settings
from multitask.runs.data_module import DataModule
from multitask.runs.folder import RunFolder
from multitask.utils.spelling import plural

_KEY = "model.start_from"


def start_from_run(network: Network, config: Config, data: DataModule) -> None:
    """Puts the weights of the run that the config names into its network; nothing where it names none.

    Raises:
        UserError: there is no such run, it is of other labels or another network, or it trained on groups that are to
            validate or to test here, whose scores would then be of what was learned by heart, or so did one that it
            started from, or it does not know these groups.
    """
    if config.model.start_from is None:
        return
    folder = _member(RunFolder(Path(config.model.start_from)), config.data)
    if read_run_settings(folder).learned_space != config.learned_space():
        raise UserError(f"{_KEY}: {folder.path} learned other labels than this config's")
    judging = np.concatenate([data.split.val, data.split.test, data.split.pick])
    _check_unseen(set(config.data.source.own_names(data.samples.groups[judging].tolist())), folder, config.data)
    load_weights(network, folder.best)


def _check_unseen(judged: set[str], folder: RunFolder, data: DataSettings) -> None:
    """Refuses a run that has seen groups, by itself or by the runs that it started from, or may have.

    Args:
        judged: the groups that are not to train here, as ``own_names`` has them.
        folder: the run's.
        data: the section of the config that starts from it.
    """
    if not judged:
        return
    settings = read_run_settings(folder).settings
    split = _split(folder, settings["data"]["source"])
    if seen := sorted(group for group in judged if split.get(group) == "train"):
        raise UserError(
            f"{_KEY}: the run in {folder.path} trained on {len(seen):,} of the "
            f"{plural(len(judged), 'group', 'groups')} that are not to "
            f"train here, as {seen[0]}; begin with one of the same split (data.folds, data.fold, data.split_seed)"
        )
    if unknown := sorted(judged - split.keys()):
        raise UserError(
            f"{_KEY}: the run in {folder.path} does not know {len(unknown):,} of the "
            f"{plural(len(judged), 'group', 'groups')} that are "
            f"not to train here, as {unknown[0]}, so it may have trained on them by another name; begin with one of "
            "the same data and split"
        )
    if (first := settings["model"].get("start_from")) is not None:
        own = data.model_copy(update={key: settings["data"][key] for key in ("folds", "fold")})
        _check_unseen(judged, _member(RunFolder(Path(first)), own), own)


def _member(folder: RunFolder, data: DataSettings) -> RunFolder:
    """The run itself; of a run in folds that of the fold of the one that starts from it."""
    folder.require()
    if folder.num_folds is None:
        return folder
    if folder.num_folds != data.folds:
        raise UserError(
            f"{_KEY}: {folder.path} is a run in {folder.num_folds} folds, so a run that starts from it must be in as "
            "many folds, or name one of its folds"
        )
    return folder.fold(data.fold)


def _split(folder: RunFolder, source: Mapping[str, Any]) -> dict[str, str]:
    """The part of the split that each group of a run is in, by its name as ``own_names`` has it.

    Args:
        folder: the run's.
        source: the settings of its source as plain data, since an extension that they name may not be imported.
    """
    try:
        with folder.split.open(newline="", encoding="utf-8") as file:
            split = {row["group"]: row["split"] for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise UserError(f"{_KEY}: {folder.split} cannot be read: {error}") from None
    if source["name"] != "several":
        return split
    names = SeveralSettings.model_construct(**source).own_names(list(split))
    return dict(zip(names, split.values(), strict=True))
