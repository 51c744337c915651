"""Samplers: who is drawn how often, always as many, always the same for one seed and epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.data import SAMPLERS
from multitask.data.samplers import (
    ClassWeightedSettings,
    EpochDraws,
    GroupsBalancedSettings,
    PerGroupSettings,
    PerSourceSettings,
    SamplerSettings,
    StreamSettings,
    UniformSettings,
    draw,
    serving_frequencies,
)
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.settings import problems
from multitask.testing.samplers import SAMPLER_CHECKS, UNEVEN, make_samples, served
from multitask.utils.seeds import derive


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("check", SAMPLER_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[SamplerSettings], None], name: str) -> None:
    check(SAMPLERS[name](name=name))


def test_uniform_is_the_order_that_there_was_before_there_were_samplers() -> None:
    expected = np.random.default_rng(derive(3, "order", 7)).permutation(np.arange(100)).tolist()
    assert served(UniformSettings(), 7) == expected


def test_chances_of_other_samples_are_refused() -> None:
    class Fewer(SamplerSettings):
        def chances(self, samples: Samples) -> np.ndarray:
            return np.full(len(samples) - 1, 0.1)

    with pytest.raises(UserError, match=r"^data\.sampler: Fewer\.chances must give one for each of \d+ samples, found"):
        EpochDraws(UNEVEN, Fewer(name="fewer"))


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
    with pytest.raises(UserError, match=r"^data\.sampler: groups_balanced would be ignored: each image that trains is"):
        GroupsBalancedSettings().chances(alone)
    alike = UNEVEN.take(np.flatnonzero(UNEVEN.kinds == UNEVEN.kinds[0]))
    with pytest.raises(UserError, match=r"^data\.sampler: class_weighted would be ignored: all images that train are"):
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


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(-1, 1)), min_size=1), st.integers(1, 3))
def test_per_group_serves_a_few_of_each_group_or_class_in_it(rows: list[tuple[int, int, int]], num: int) -> None:
    samples = make_samples([[a, b] for _, a, b in rows], [str(group) for group, _, _ in rows])
    for of in ("class", "group"):
        keys = [row if of == "class" else row[:1] for row in rows]
        counts = Counter(keys)
        sampler = PerGroupSettings(num=num, of=of)
        if max(counts.values()) <= num:
            with pytest.raises(UserError, match=r"^data\.sampler: per_group would be ignored: no .* more than"):
                sampler.strata(samples)
            continue
        epoch = served(sampler, 1, samples)
        assert Counter(keys[row] for row in epoch) == {key: min(count, num) for key, count in counts.items()}


def test_per_group_serves_others_in_each_epoch_until_all_were_seen() -> None:
    strata = PerGroupSettings().strata(UNEVEN)
    draws = [strata.draw(np.random.default_rng(seed)) for seed in range(600)]
    counts = np.bincount(np.concatenate(draws), minlength=len(UNEVEN))
    of_big = counts[:60]  # those of one class in one group, of whom each epoch serves one
    assert of_big.sum() == 600
    assert of_big.min() > 0
    assert np.sum((of_big - 10) ** 2 / 10) < 100  # chi-square of 59 degrees: 99.9% are below 98.3


def test_a_groups_images_are_served_one_after_the_other_and_the_order_of_groups_changes() -> None:
    sampler = PerGroupSettings(num=3, of="group", together=True)
    orders = []
    for epoch in (1, 2):
        groups = UNEVEN.groups[served(sampler, epoch)].tolist()
        runs = [group for place, group in enumerate(groups) if place == 0 or groups[place - 1] != group]
        assert len(runs) == len(set(runs))
        assert Counter(groups)["big"] == 3
        orders.append(runs)
    assert orders[0] != orders[1]
    apart = PerGroupSettings(num=3, of="group")
    assert sorted(served(sampler, 1)) == sorted(served(apart, 1))


def test_to_serve_whole_groups_together_is_no_setting_that_is_ignored() -> None:
    assert len(served(PerGroupSettings(num=100, of="group", together=True), 1)) == 100
    with pytest.raises(UserError, match="per_group would be ignored"):
        PerGroupSettings(num=100, of="group").strata(UNEVEN)


def sharded(*sizes: int) -> Samples:
    """Samples in shards of these sizes, one after the other."""
    samples = make_samples([[0, 0]] * sum(sizes))
    names = [f"{shard:03d}.tar/{row}.jpg" for shard, size in enumerate(sizes) for row in range(size)]
    return replace(samples, images=np.array(names, dtype=object))


def test_a_stream_serves_each_sample_once_shard_after_shard() -> None:
    samples = sharded(*[50] * 8)
    first, second = (served(StreamSettings(buffer=1), epoch, samples) for epoch in (1, 2))
    assert sorted(first) == list(range(400))
    starts = [row for row in first if row % 50 == 0]
    assert first == [row for start in starts for row in range(start, start + 50)]  # as they are stored
    assert starts != [row for row in second if row % 50 == 0]  # the shards' order is another in each epoch


def test_a_stream_shuffles_within_its_buffer_and_no_further() -> None:
    samples = sharded(*[100] * 6)
    settings = StreamSettings(buffer=60)
    order = np.array(settings.stream(samples).draw(np.random.default_rng(0)))
    plain = np.array(StreamSettings(buffer=1).stream(samples).draw(np.random.default_rng(0)))
    assert sorted(order) == list(range(600))
    moved = np.abs(np.argsort(order)[plain] - np.arange(600))
    assert moved.max() < 60
    assert moved.mean() > 10
    wide = StreamSettings(buffer=10**9).stream(samples).draw(np.random.default_rng(0))
    assert np.abs(np.argsort(wide)[plain] - np.arange(600)).mean() > 150  # as of any order


def test_a_stream_of_those_who_train_keeps_the_order_of_their_shards() -> None:
    samples = sharded(40, 40, 40)
    rows = served(StreamSettings(buffer=1), 1, samples, np.arange(1, 120, 3))
    shards = [row // 40 for row in rows]
    assert [one for one, other in zip(shards, [None, *shards], strict=False) if one != other] == list(
        dict.fromkeys(shards)
    )


@pytest.mark.parametrize("name", SAMPLERS)
def test_frequencies_are_how_often_an_epoch_serves_each_sample_in_the_mean(name: str) -> None:
    sampler = SAMPLERS[name](name=name)
    counts = np.zeros(len(UNEVEN))
    for epoch in range(300):
        counts += np.bincount(served(sampler, epoch), minlength=len(UNEVEN))
    assert counts / 300 == pytest.approx(serving_frequencies(UNEVEN, sampler), abs=0.15)
