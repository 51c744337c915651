from __future__ import annotations

import numpy as np
import pytest

from multitask.data.eda import inspect
from multitask.data.eda.inspection import EXTREMES, PER_CELL
from multitask.data.splits import Split, hold_out
from multitask.labels import JOINT, MISSING


def split_by(samples, groups_of_val):
    val = np.isin(samples.groups.astype(str), list(groups_of_val))
    return Split(np.flatnonzero(~val), np.flatnonzero(val))


def test_counts_are_those_of_the_samples(planted):
    samples = planted.samples()
    split = hold_out(samples, 0.3, 0)
    found = inspect(samples, split, 0)
    for part, indices in (("train", split.train), ("val", split.val)):
        of_part = samples.take(indices)
        for place, task in enumerate(samples.space.tasks):
            counts = found.counts[task.name]
            for label in range(task.num_classes):
                has = of_part.labels[:, place] == label
                assert counts.images[part][label] == has.sum()
                assert counts.groups[part][label] == len(set(of_part.groups[has]))
        assert found.counts[JOINT].images[part].sum() == len(indices)
        assert found.counts[JOINT].unknown[part] == 0
    assert set(found.parts) == {"train", "val"}


def test_classes_that_no_group_trains_are_named(planted):
    samples = planted.samples()
    split = split_by(samples, {planted.group(person) for person in range(1, 12)})
    found = inspect(samples, split, 0)
    trained = {samples.space.class_names[index] for index in set(samples.classes[split.train].tolist())}
    assert len(trained) == 3  # one person, three ways of wearing a mask
    assert set(found.untrained) == set(samples.space.class_names) - trained


def test_a_copy_on_both_sides_is_a_leak_and_on_one_side_is_none(planted):
    planted.plant(1, 7, None, "normal")
    planted.plant(2, 5, lambda image: image, "mask1")
    samples = planted.samples()
    found = inspect(samples, split_by(samples, {planted.group(7)}), 0)
    assert [(item.groups, item.leak, len(item.pairs)) for item in found.linked] == [
        ((planted.group(1), planted.group(7)), True, 1),
        ((planted.group(2), planted.group(5)), False, 1),
    ]
    assert found.leaks[0].splits == ("train", "val")
    assert found.leaks == [found.linked[0]]
    pair = found.leaks[0].pairs[0]
    differ = samples.labels[pair.first] != samples.labels[pair.second]
    assert found.leaks[0].differ == tuple(np.array(samples.space.task_names)[differ])
    assert {pair.first, pair.second} <= set(found.pixels)


def test_labels_that_are_not_known_contradict_nothing_and_are_counted(planted):
    planted.plant(1, 7, None, "normal")
    samples = planted.samples()
    samples.labels[:, 1] = MISSING
    split = Split(np.arange(0, 70), np.arange(70, 77))
    found = inspect(samples, split, 0)
    assert "gender" not in found.linked[0].differ
    assert found.counts["gender"].unknown == {"train": 70, "val": 7, "neither": 7}
    assert found.counts["mask"].unknown["train"] == 0
    assert found.parts["neither"].tolist() == list(range(77, 84))
    assert found.cells == ()
    assert found.mean("gender", 0) is None


def test_what_cannot_be_read_is_listed_and_stops_nothing(planted):
    truncated, garbage = planted.file(0, "mask1"), planted.file(3, "mask4")
    truncated.write_bytes(truncated.read_bytes()[:300])
    garbage.write_bytes(b"nothing")
    samples = planted.samples()
    told = []

    def stage(name, total):
        told.append((name, total))
        return lambda done: told.append(done)

    found = inspect(samples, hold_out(samples, 0.3, 0), 0, stage)
    files = {samples.root / samples.images[index] for index in found.looks.faults}
    assert files == {truncated, garbage}
    assert not set(found.pixels) & set(found.looks.faults)
    assert told[0] == ("looking at images", 84)
    assert ("looking for copies", 84) in told
    assert told[-1] == 84


def test_the_mean_of_a_label_is_that_of_its_images(planted):
    samples = planted.samples()
    found = inspect(samples, hold_out(samples, 0.3, 0), 0)
    for task, label, has in (
        ("mask", 1, samples.labels[:, 0] == 1),
        ("age", 2, samples.labels[:, 2] == 2),
        (JOINT, found.cells[1], samples.classes == found.cells[1]),
    ):
        mean, num = found.mean(task, label)
        assert num == has.sum()
        assert mean.shape == (*found.size, 3)
        weights = np.array([0.299, 0.587, 0.114])
        assert (mean @ weights).mean() == pytest.approx(found.looks.brightness[has].mean(), abs=1)


def test_extremes_and_samples_are_of_different_groups(planted):
    samples = planted.samples()
    found = inspect(samples, hold_out(samples, 0.3, 0), 0)
    assert found.extremes["darkest"][0] == np.argmin(found.looks.brightness)
    assert found.extremes["brightest"][0] == np.argmax(found.looks.brightness)
    assert found.extremes["least sharp"][0] == np.argmin(found.looks.sharpness)
    assert found.extremes["sharpest"][0] == np.argmax(found.looks.sharpness)
    for indices in found.extremes.values():
        assert len(set(samples.groups[list(indices)])) == EXTREMES
    for cell, indices in found.grid.items():
        of_cell = samples.classes == cell
        assert (samples.classes[list(indices)] == cell).all()
        assert len(indices) == min(PER_CELL, of_cell.sum())
        groups = samples.groups[list(indices)]
        assert len(set(groups)) == min(PER_CELL, len(set(samples.groups[of_cell])))
    assert found.grid == inspect(samples, hold_out(samples, 0.3, 0), 0).grid


def test_images_are_shown_of_the_commonest_classes_only(planted, monkeypatch):
    monkeypatch.setattr("multitask.data.eda.inspection.MOST_CELLS", 2)
    samples = planted.samples()
    found = inspect(samples, hold_out(samples, 0.3, 0), 0)
    nums = np.bincount(samples.classes, minlength=18)
    assert sorted(nums[list(found.cells)]) == sorted(nums)[-2:]
    assert set(found.grid) == set(found.cells)
