"""Whether images tell their source, and whether that would tell a label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from multitask.data.eda.domain_gap import Confound, DomainGap, SourceGap, auc, confounds, domain_gap
from multitask.data.images import Pixels, Preprocessing
from multitask.data.samples import Samples
from multitask.labels import MISSING, LabelSpace, Task

SPACE = LabelSpace([Task("colour", ("red", "blue")), Task("size", ("s", "l"))])
NUM = 40


def drawn(folder: Path, brighter: int, labels: tuple[int, int] = (0, 1)) -> Samples:
    """Noise of two sources, two images a group, the second of them brighter; labels alternate, or are as given."""
    rng = np.random.default_rng(0)
    images, sources, groups = [], [], []
    for source, more in (("ones", 0), ("twos", brighter)):
        (folder / source).mkdir()
        for number in range(NUM):
            pixels = rng.integers(0, 200, (16, 16, 3)) + more
            name = f"{source}/{number}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
            images.append(name)
            sources.append(source)
            groups.append(f"{source}/{number // 2}")
    table = np.full((2 * NUM, 2), MISSING, dtype=np.int64)
    table[:NUM, 0] = np.arange(NUM) % 2
    table[NUM:, 0] = np.resize(labels, NUM)
    names = (np.array(column, dtype=object) for column in (images, groups, sources))
    images_column, groups_column, sources_column = names
    return Samples(
        SPACE,
        folder,
        images_column,
        groups_column,
        table,
        np.full(table.shape, np.nan),
        np.ones(2 * NUM, dtype=np.float32),
        sources_column,
    )


def gap_of(samples: Samples) -> DomainGap:
    return domain_gap(samples, [Preprocessing((16, 16))] * len(samples), seed=3)


def test_sources_that_look_otherwise_are_told_apart(tmp_path: Path) -> None:
    found = gap_of(drawn(tmp_path, brighter=50))
    assert [gap.source for gap in found.sources] == ["ones", "twos"]
    for gap in found.sources:
        assert (gap.num_images, gap.num_groups) == (NUM, NUM // 2)
        assert gap.told_apart
        assert 0.9 < gap.low <= gap.auc <= gap.high <= 1
    assert found.confounds == ()
    assert not found.warnings


def test_sources_that_look_alike_are_not(tmp_path: Path) -> None:
    found = gap_of(drawn(tmp_path, brighter=0, labels=(0, 0)))
    for gap in found.sources:
        assert gap.low < 0.65
        assert not gap.told_apart
    assert found.confounds
    assert not found.warnings  # a source that cannot be seen tells no label


def test_a_source_that_is_told_apart_and_labels_one_class_is_warned_of(tmp_path: Path) -> None:
    found = gap_of(drawn(tmp_path, brighter=50, labels=(1, 1)))
    assert [(gap.source, confound) for gap, confound in found.warnings] == [
        ("ones", Confound("ones", "colour", "red", 0.5, 0.0)),
        ("twos", Confound("twos", "colour", "blue", 1.0, 0.5)),
    ]


def test_a_task_that_one_source_labels_confounds_nothing(tmp_path: Path) -> None:
    samples = drawn(tmp_path, brighter=0)
    samples.labels[:NUM, 1] = 1
    assert [one.task for one in confounds(samples)] == []


@pytest.mark.parametrize(
    ("num_red", "named"), [(20, []), (30, []), (35, []), (37, ["ones", "twos"]), (40, ["ones", "twos"])]
)
def test_mixes_that_differ_a_little_confound_nothing(num_red: int, named: list[str], tmp_path: Path) -> None:
    samples = drawn(tmp_path, brighter=0)  # of the ones half are red
    samples.labels[NUM:, 0] = np.arange(NUM) >= num_red
    assert [one.source for one in confounds(samples)] == named
    assert all(one.label == ("blue" if one.source == "ones" else "red") for one in confounds(samples))


def test_the_crop_of_each_source_is_what_is_seen(tmp_path: Path) -> None:
    from multitask.data.crop import CentreSettings

    samples = drawn(tmp_path, brighter=0)
    for image in samples.images[NUM:]:
        pixels = np.asarray(Image.open(tmp_path / image)).copy()
        pixels[:8] = 255
        Image.fromarray(pixels).save(tmp_path / image)
    whole, lower = Preprocessing((16, 16)), Preprocessing((16, 16), CentreSettings(top=0.5))
    assert gap_of(samples).sources[1].told_apart
    found = domain_gap(samples, [whole] * NUM + [lower] * NUM, seed=3)
    assert found is not None
    assert found.sources[1].low < gap_of(samples).sources[1].low


def test_too_few_groups_tell_nothing(tmp_path: Path) -> None:
    samples = drawn(tmp_path, brighter=50)
    few = samples.take(np.array([*range(NUM), NUM, NUM + 1]))
    found = gap_of(few)
    assert (found.sources, found.features, found.not_asked) == ((), (), ("ones", "twos"))


def test_a_source_of_too_few_groups_is_named(tmp_path: Path) -> None:
    samples = drawn(tmp_path, brighter=50)
    sources = samples.sources.to_numpy()
    sources[:4] = "threes"
    found = gap_of(replace(samples, sources=sources))
    assert [gap.source for gap in found.sources] == ["ones", "twos"]
    assert found.not_asked == ("threes",)


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    samples = drawn(tmp_path, brighter=50)
    (tmp_path / "ones" / "3.png").write_bytes(b"nothing")
    done: list[int] = []
    found = domain_gap(samples, [Preprocessing((16, 16))] * 2 * NUM, 3, done.append)
    assert found.sources[0].num_images == NUM - 1
    assert done[-1] == 2 * NUM


@pytest.mark.parametrize(("scores", "expected"), [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 0.0), ([1, 1, 1, 1], 0.5)])
def test_auc_counts_pairs(scores: list[float], expected: float) -> None:
    assert auc(np.array(scores, dtype=float), np.array([False, False, True, True])) == expected


def test_told_apart_is_by_the_lower_end() -> None:
    assert SourceGap("ones", 9, 9, 0.9, 0.7, 1.0).told_apart
    assert not SourceGap("ones", 9, 9, 0.9, 0.69, 1.0).told_apart


def test_a_networks_features_are_asked_too_and_decide_for_their_tasks(tmp_path: Path) -> None:
    samples = drawn(tmp_path, brighter=50, labels=(1, 1))
    batches = []

    def encode(pixels: Pixels) -> dict[tuple[str, ...], NDArray[np.float64]]:
        batches.append(len(pixels))
        brightness = pixels.mean(axis=(1, 2, 3))[:, None]
        blind = np.random.default_rng(len(batches)).normal(size=(len(pixels), 300))
        return {("size",): brightness, ("colour",): blind}

    plain, found = gap_of(samples), domain_gap(samples, [Preprocessing((16, 16))] * 2 * NUM, seed=3, encode=encode)
    assert found is not None
    assert sum(batches) == 2 * NUM
    assert found.sources == plain.sources  # of the same folds and resamples
    assert [gap.tasks for gap in found.features] == [("size",), ("colour",)]
    seen, blind = found.features
    assert all(gap.told_apart for gap in seen.sources)
    assert not any(gap.told_apart for gap in blind.sources)
    assert plain.warnings
    assert not found.warnings  # what colour is read of does not tell the source
