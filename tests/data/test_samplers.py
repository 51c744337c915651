"""Samplers: who is drawn how often, always as many, always the same for one seed and epoch."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.data import SAMPLERS
from multitask.data.loading import Batches
from multitask.data.samplers import (
    ClassWeightedSettings,
    GroupsBalancedSettings,
    PerSourceSettings,
    SamplerSettings,
    UniformSettings,
    draw,
)
from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.labels import LabelSpace, Task
from multitask.settings import problems
from multitask.utils.seeds import derive

SPACE = LabelSpace([Task("a", ("x", "y")), Task("b", ("p", "q"))])


def make(labels: list[list[int]], groups: list[str] | None = None, sources: list[str] | None = None) -> Samples:
    num = len(labels)
    return Samples(
        SPACE,
        Path("/"),
        np.array([str(row) for row in range(num)], dtype=object),
        np.array(groups or [str(row) for row in range(num)], dtype=object),
        np.array(labels, dtype=np.int64),
        np.full((num, 2), np.nan),
        np.ones(num, dtype=np.float32),
        np.array(sources or ["s"] * num, dtype=object),
    )


UNEVEN = make(
    [[0, 0]] * 60 + [[1, 1]] * 30 + [[0, -1]] * 9 + [[1, -1]],
    ["big"] * 70 + [str(row) for row in range(30)],
    ["one"] * 90 + ["two"] * 10,
)


def served(
    sampler: SamplerSettings, epoch: int, samples: Samples = UNEVEN, indices: np.ndarray | None = None
) -> list[int]:
    chosen = np.arange(len(samples)) if indices is None else indices
    labels = np.arange(len(samples))[:, None]
    pictures = np.zeros((len(samples), 1, 1, 3), dtype=np.uint8)
    learned = Targets(labels, np.full(labels.shape, np.nan, dtype=np.float32))
    batches = Batches(samples, learned, pictures, chosen, 16, shuffle=True, sampler=sampler, seed=3)
    return [int(label) for batch in batches.epoch(epoch) for label in batch.labels[:, 0]]


@pytest.mark.parametrize("name", SAMPLERS)
class TestEverySampler:
    def test_an_epoch_is_as_long_as_the_training_samples_and_serves_no_others(self, name: str) -> None:
        sampler = SAMPLERS[name]()
        chosen = np.arange(5, 100, 2)
        epoch = served(sampler, 1, indices=chosen)  # type: ignore[arg-type]
        assert len(epoch) == len(chosen)
        assert set(epoch) <= set(chosen.tolist())

    def test_depends_on_seed_and_epoch_alone(self, name: str) -> None:
        sampler = SAMPLERS[name]()
        first, second = served(sampler, 1), served(sampler, 2)  # type: ignore[arg-type]
        assert first != second
        assert served(sampler, 2) == second  # whoever resumes has served nothing before  # type: ignore[arg-type]

    def test_chances_sum_to_one(self, name: str) -> None:
        chances = SAMPLERS[name]().chances(UNEVEN)  # type: ignore[attr-defined]
        if chances is not None:
            assert chances.shape == (len(UNEVEN),)
            assert chances.sum() == pytest.approx(1)
            assert (chances > 0).all()


def test_uniform_is_the_order_that_there_was_before_there_were_samplers() -> None:
    expected = np.random.default_rng(derive(3, "order", 7)).permutation(np.arange(100)).tolist()
    assert served(UniformSettings(), 7) == expected


def shares(sampler: SamplerSettings, by: np.ndarray) -> dict[object, float]:
    chances = sampler.chances(UNEVEN)
    assert chances is not None
    return {value: float(chances[by == value].sum()) for value in set(by.tolist())}


def test_class_weighted_draws_classes_alike_also_incomplete_ones() -> None:
    assert shares(ClassWeightedSettings(), UNEVEN.kinds) == pytest.approx(
        dict.fromkeys(set(UNEVEN.kinds.tolist()), 0.25)
    )
    halfway = shares(ClassWeightedSettings(power=0.5), UNEVEN.kinds)
    roots = np.sqrt([60, 30, 9, 1])
    assert sorted(halfway.values(), reverse=True) == pytest.approx((roots / roots.sum()).tolist())


def test_per_source_goes_by_the_sources_weights_whatever_their_size() -> None:
    assert shares(PerSourceSettings(), UNEVEN.sources) == pytest.approx({"one": 0.5, "two": 0.5})
    sampler = PerSourceSettings(weights={"two": 3.0})
    assert shares(sampler, UNEVEN.sources) == pytest.approx({"one": 0.25, "two": 0.75})
    assert Counter(UNEVEN.sources[served(sampler, 1)]) == {"one": 25, "two": 75}
    with pytest.raises(
        UserError, match=r"^data\.sampler\.weights\.tow: no source of that name trains; did you mean 'two'"
    ):
        PerSourceSettings(weights={"tow": 1.0}).chances(UNEVEN)


def test_groups_balanced_draws_groups_alike() -> None:
    assert shares(GroupsBalancedSettings(), UNEVEN.groups) == pytest.approx(dict.fromkeys(set(UNEVEN.groups), 1 / 31))


def test_a_sampler_that_would_do_nothing_is_refused() -> None:
    alone = replace(UNEVEN, groups=UNEVEN.images)
    with pytest.raises(
        UserError, match=r"^data\.sampler: groups_balanced would be ignored: each picture that trains is"
    ):
        GroupsBalancedSettings().chances(alone)
    alike = UNEVEN.take(np.flatnonzero(UNEVEN.kinds == UNEVEN.kinds[0]))
    with pytest.raises(
        UserError, match=r"^data\.sampler: class_weighted would be ignored: all pictures that train are"
    ):
        ClassWeightedSettings().chances(alike)
    (line,) = problems(PerSourceSettings, {"weights": {"one": 1e308}})
    assert line.startswith("weights.one: input should be less than or equal to 1000000")


@given(
    st.lists(st.floats(0.01, 100), min_size=1, max_size=60),
    st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=100)
def test_draws_are_as_many_as_is_due_to_within_two(weights: list[float], seed: int) -> None:
    chances = np.array(weights) / np.sum(weights)
    indices = np.arange(100, 100 + len(weights))
    drawn = draw(indices, chances, np.random.default_rng(seed))
    counts = np.bincount(drawn - 100, minlength=len(weights))
    assert counts.sum() == len(weights)
    assert (np.abs(counts - chances * len(weights)) < 2).all()


def test_draws_are_fair_in_the_long_run() -> None:
    chances = np.array([0.5, 0.3, 0.15, 0.05])
    rng = np.random.default_rng(0)
    drawn = np.concatenate([draw(np.arange(4), chances, rng) for _ in range(5000)])
    np.testing.assert_allclose(np.bincount(drawn) / len(drawn), chances, atol=0.01)


def test_what_is_drawn_is_shuffled() -> None:
    epoch = served(GroupsBalancedSettings(), 1)
    assert epoch != sorted(epoch)
    assert abs(np.corrcoef(epoch, np.arange(len(epoch)))[0, 1]) < 0.5
