"""Samples with their corrections and their split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from multitask.config import Config
from multitask.data.dataset import Dataset
from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.settings.yaml_text import dump_yaml

MakeConfig = Callable[..., Config]


def read(config: Config) -> Dataset:
    return Dataset.read(config.data, config.space(), config.seed)


def test_the_split_depends_on_its_own_seed_where_it_has_one(tiny: MakeConfig) -> None:
    def trains(seed: int, split_seed: int | None = None) -> list[int]:
        found: list[int] = read(tiny({"seed": seed, "data.split_seed": split_seed})).split.train.tolist()
        return found

    assert trains(1) == trains(1)
    assert trains(1) != trains(2)
    assert trains(1, 5) == trains(2, 5)
    assert trains(5) == trains(2, 5)


def test_a_correction_changes_labels_and_moves_nobody(tiny: MakeConfig, tmp_path: Path) -> None:
    before = read(tiny())
    assert not before.corrected.any()
    assert before.corrections is None
    group = before.samples.groups[before.split.train[0]]
    old = before.samples.space.tasks[1].classes[before.samples.labels[before.split.train[0], 1]]
    new = next(name for name in ("male", "female") if name != old)
    fix = {"path": group, "field": "gender", "from": old, "to": new, "reason": "r", "source": "s", "tier": "strong"}
    file = tmp_path / "fixes.yaml"
    file.write_text(dump_yaml({"corrections": [fix]}))
    after = read(tiny({"data.corrections": {"files": [str(file)]}}))
    assert after.corrections is not None
    np.testing.assert_array_equal(after.split.train, before.split.train)
    changed = after.samples.labels != before.samples.labels
    np.testing.assert_array_equal(after.corrected, changed)
    np.testing.assert_array_equal(np.flatnonzero(changed.any(axis=1)), np.flatnonzero(before.samples.groups == group))


def test_parts_are_those_of_the_split(tiny: MakeConfig) -> None:
    dataset = read(tiny())
    parts = [set(dataset.indices(name)) for name in ("train", "val", "test")]
    assert set.union(*parts) == set(dataset.indices("all"))
    assert list(dataset.training_samples().images) == list(dataset.samples.images[dataset.split.train])
    assert dataset.without_test() is dataset.samples
    assert len(dataset.empty_cells.never) < 18


def test_a_score_that_nobody_who_validates_has_a_label_for_is_refused(tiny: MakeConfig) -> None:
    dataset = read(tiny())
    dataset.check_scored("joint.macro_f1", "training.monitor")
    dataset.samples.labels[dataset.split.val, 2] = MISSING
    dataset.check_scored("tasks.mask.macro_f1", "training.monitor")
    for metric in ("joint.macro_f1", "tasks.age.accuracy"):
        with pytest.raises(UserError, match=rf"^training\.monitor: {metric} is unknown: .*name tasks\.mask\."):
            dataset.check_scored(metric, "training.monitor")
    assert dataset.num_scored_groups("joint.macro_f1") == dataset.num_scored_groups("tasks.age.macro_f1") == 0
    assert dataset.num_scored_groups("tasks.mask.macro_f1") == len(set(dataset.samples.groups[dataset.split.val]))


def test_a_lower_bound_over_one_group_is_refused(tiny: MakeConfig) -> None:
    dataset = read(tiny())
    dataset.check_bound("joint.macro_f1", "val")
    others = dataset.split.val[
        dataset.samples.groups[dataset.split.val] != dataset.samples.groups[dataset.split.val[0]]
    ]
    dataset.samples.labels[others, 2] = MISSING
    dataset.check_bound("tasks.mask.macro_f1", "val")
    dataset.check_bound("joint.macro_f1", "pick")  # nobody picks
    for metric in ("joint.macro_f1", "tasks.age.loss"):
        with pytest.raises(UserError, match=rf"^training\.keep: lower_bound needs {metric} of two groups"):
            dataset.check_bound(metric, "val")
