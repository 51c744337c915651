"""A run goes on with what it began with, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.data.data_facts import DataFacts
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.runs.config import load_run_config
from multitask.runs.folder import RunFolder
from multitask.runs.records import RunEnvironment
from multitask.runs.resume import begin, check_frozen
from multitask.utils.files import write_atomically
from multitask.utils.records import record_to_json

MakeConfig = Callable[..., Config]
DATA = DataFacts(fingerprint="one")
BEGAN = RunEnvironment(frozen_backbone="digest")
STEP = {"training.schedule": {"name": "step", "factor": 1.0, "warmup_epochs": 0}}


class Notes(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def folder(tmp_path: Path, tiny: MakeConfig) -> RunFolder:
    """A run of a step schedule that has begun."""
    found = RunFolder(tmp_path / "run")
    begin(found, tiny(STEP), DATA, BEGAN, Progress())
    write_atomically(found.data, record_to_json(DATA))
    write_atomically(found.report(), "{}")
    return found


def test_the_same_goes_on_and_says_nothing(folder: RunFolder, tiny: MakeConfig) -> None:
    notes = Notes()
    begin(folder, tiny(STEP), DATA, BEGAN, notes)
    assert notes.said == []
    assert folder.report().is_file()


@pytest.mark.parametrize(
    ("changes", "data", "line"),
    [
        ({"seed": 1}, DATA, r"^seed: the run in .* began with 0, found 1$"),
        ({"seed": 1, "training.lr": 0.5}, DATA, r"^seed: .* \(and 1 more\)$"),
        ({"training.epochs": 1}, DATA, r"^training\.epochs: the run in .* began with 2, found 1$"),
        ({}, DataFacts(fingerprint="two"), r": is not the data that the run in .* began with$"),
    ],
)
def test_other_settings_and_other_data_are_refused(
    changes: dict[str, Any], data: DataFacts, line: str, folder: RunFolder, tiny: MakeConfig
) -> None:
    with pytest.raises(UserError, match=line):
        begin(folder, tiny({**STEP, **changes}), data, BEGAN, Progress())


def test_more_epochs_are_taken_where_nothing_depends_on_how_many_there_are(folder: RunFolder, tiny: MakeConfig) -> None:
    notes = Notes()
    begin(folder, tiny({**STEP, "training.epochs": 5}), DATA, BEGAN, notes)
    assert [note.split(",")[0] for note in notes.said] == ["training.epochs: 5"]
    assert load_run_config(folder).training.epochs == 5
    assert not folder.report().exists()  # of fewer epochs


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, r"training\.schedule \(cosine, not step\)"),
        (
            {**STEP, "heads.age.loss": {"name": "soft_labels", "class_weights": "inverse_frequency", "deferred": 0.5}},
            r"heads\.age\.loss\.deferred",
        ),
    ],
)
def test_what_depends_on_how_many_epochs_there_are_is_named(
    changes: dict[str, Any], why: str, tiny: MakeConfig, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "other")
    begin(folder, tiny(changes), DATA, BEGAN, Progress())
    with pytest.raises(UserError, match=rf"^training\.epochs: .* {why} depends on how many there are"):
        begin(folder, tiny({**changes, "training.epochs": 5}), DATA, BEGAN, Progress())


def test_a_frozen_backbone_has_the_weights_it_began_with(folder: RunFolder) -> None:
    check_frozen(folder, "digest", "w.safetensors")
    with pytest.raises(UserError, match=r"^model\.backbone\.weights: w\.safetensors does not hold the weights"):
        check_frozen(folder, "another", "w.safetensors")
