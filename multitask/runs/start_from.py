"""A run that starts from another's network, as from heads that were trained on a frozen backbone's features."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from multitask.config import Config
from multitask.errors import UserError
from multitask.model.network import Network
from multitask.runs.build import load_weights
from multitask.runs.config import read_run_settings
from multitask.runs.data_module import DataModule
from multitask.runs.folder import RunFolder

_KEY = "model.start_from"


def start_from_run(network: Network, config: Config, data: DataModule) -> None:
    """Puts the weights of the run that the config names into its network; nothing where it names none.

    Raises:
        UserError: there is no such run, it is of other labels or another network, or it trained on groups that are to
            validate or to test here, whose scores would then be of what was learned by heart.
    """
    if config.model.start_from is None:
        return
    folder = _member(RunFolder(Path(config.model.start_from)), config)
    if read_run_settings(folder).learned_space != config.learned_space():
        raise UserError(f"{_KEY}: {folder.path} learned other labels than this config's")
    judging = np.concatenate([data.split.val, data.split.test, data.split.pick])
    judged = set(data.samples.groups[judging].tolist())
    seen = sorted(_trained_groups(folder) & judged)
    if seen:
        raise UserError(
            f"{_KEY}: the run in {folder.path} trained on {len(seen)} of the {len(judged)} groups that are not to "
            f"train here, as {seen[0]}; begin with one of the same split (data.folds, data.fold, data.split_seed)"
        )
    load_weights(network, folder.best)


def _member(folder: RunFolder, config: Config) -> RunFolder:
    """The run itself; of a run in folds that of the config's own fold."""
    folder.require()
    if folder.num_folds is None:
        return folder
    if folder.num_folds != config.data.folds:
        raise UserError(
            f"{_KEY}: {folder.path} is a run in {folder.num_folds} folds, so a run that starts from it must be in as "
            "many folds, or name one of its folds"
        )
    return folder.fold(config.data.fold)


def _trained_groups(folder: RunFolder) -> set[str]:
    try:
        with folder.split.open(newline="", encoding="utf-8") as file:
            return {row["group"] for row in csv.DictReader(file) if row["split"] == "train"}
    except (OSError, KeyError) as error:
        raise UserError(f"{_KEY}: {folder.split} cannot be read: {error}") from None
