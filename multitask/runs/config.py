"""The config of a run that was trained, checked before anything heavy is imported."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from multitask.config import Config, load_config
from multitask.data.settings import DataSettings
from multitask.errors import UserError
from multitask.labels import LabelSettings, LabelSpace
from multitask.model.sharing import ModelSettings
from multitask.runs.folder import RunFolder
from multitask.settings import ExtensionError, Settings, validate
from multitask.settings.yaml_text import read_yaml


def load_run_config(folder: RunFolder, *, allow_extensions: bool = False) -> Config:
    """The config that a run began with.

    Args:
        folder: the run's.
        allow_extensions: whether the code that the config names may run, where it has not yet.

    Raises:
        UserError: there is no run, or its config is damaged or of another version.
        ExtensionError: the config names code that is not allowed, is not there, or fails.
    """
    folder.require()
    try:
        return load_config(folder.config, allow_extensions=allow_extensions)
    except ExtensionError:
        raise
    except UserError as error:
        raise UserError(f"{folder.config}: {error}") from None


class TrainedRun(NamedTuple):
    """A run that was trained.

    Attributes:
        folder: its folder.
        config: what it was trained with; its data is perhaps at another place now.
    """

    folder: RunFolder
    config: Config

    @property
    def folds_command(self) -> str:
        """The line that trains the same in folds, with the settings of who validates that do not go with folds undone.

        They are those that ``fold_configs`` refuses.
        """
        data, usual = self.config.data, DataSettings.model_fields["val_fraction"].default
        words = ["multitask", "train", str(self.folder.config), "--folds", "5"]
        if data.folds is not None:
            words += ["--set", "data.folds=null", *(["--set", "data.fold=0"] if data.fold else [])]
        if data.val_fraction != usual:
            words += ["--set", f"data.val_fraction={usual:g}"]
        if self.config.final is not None:
            words += ["--set", "final=null"]
        return shlex.join([*words, "--out", "DIR"])


def read_run(path: Path, data: Path | None = None, *, allow_extensions: bool = False) -> TrainedRun:
    """A run and its config, with the data perhaps at another place than when it was trained.

    Raises:
        UserError: there is no run.
        ExtensionError: as ``load_run_config``.
    """
    folder = RunFolder(path)
    config = load_run_config(folder, allow_extensions=allow_extensions)
    if data is not None:
        config = config.with_changes({"data.root": str(data.resolve())})
    return TrainedRun(folder, config)


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run and its label spaces, read without importing the extensions that its config names.

    Attributes:
        settings: all of it, as plain data.
        space: the label space.
        learned_space: the label space that the heads learn.
    """

    settings: Mapping[str, Any]
    space: LabelSpace
    learned_space: LabelSpace


class _Spaces(Settings):
    labels: LabelSettings
    model: ModelSettings = ModelSettings()


def read_run_settings(folder: RunFolder) -> RunSettings:
    """The settings in a run's config; extensions that it names are not imported for it.

    Raises:
        UserError: there is no run, its config is damaged, or its label space is made by an extension.
    """
    try:
        config = load_run_config(folder)
    except ExtensionError:
        data = read_yaml(folder.config)  # in which every default stands
    else:
        return RunSettings(config.model_dump(mode="json"), config.space(), config.learned_space())
    try:
        found = validate(_Spaces, {key: data[key] for key in _Spaces.model_fields if key in data})
    except UserError as error:
        raise UserError(f"{folder.config}: {error} (its extensions are not imported here)") from None
    space = found.labels.space()
    return RunSettings(data, space, found.model.sharing.learned(space))
