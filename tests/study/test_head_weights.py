"""The weights of all heads as ratios: what they make of a config, and of its own weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.config import Config
from multitask.study.head_weights import HeadWeightsEntry
from multitask.study.parameters import BaseValues
from multitask.testing.entries import base_values

MakeConfig = Callable[..., Config]


def with_heads(tiny: MakeConfig, weights: list[float]) -> BaseValues:
    """What a space reads of a config of as many tasks as there are weights, with those weights."""
    tasks = {f"task{index}": {"classes": ["a", "b"]} for index in range(len(weights))}
    heads = {task: {"weight": weight} for task, weight in zip(tasks, weights, strict=True)}
    return base_values(tiny({"labels.tasks": tasks, "heads": heads}))


ratios = st.floats(0.2, 5.0)


@given(st.lists(ratios, min_size=1, max_size=5))
@settings(deadline=None, max_examples=60)
def test_k_heads_have_k_minus_1_ratios_and_weights_whose_sum_is_k(tiny: MakeConfig, drawn: list[float]) -> None:
    base = with_heads(tiny, [1.0] * (len(drawn) + 1))
    entry = HeadWeightsEntry()
    assert entry.names("heads", base) == tuple(f"weight_ratio.task{index}" for index in range(1, len(base.heads)))
    changes = entry.changes("heads", tuple(drawn), base)
    assert list(changes) == [f"heads.{head}.weight" for head in base.heads]
    weights = list(changes.values())
    assert min(weights) > 0
    assert math.fsum(weights) == pytest.approx(len(weights), rel=1e-12)
    assert [weight / weights[0] for weight in weights[1:]] == pytest.approx(drawn, rel=1e-12)


@given(st.lists(st.floats(0.5, 2.0), min_size=2, max_size=6))
@settings(deadline=None, max_examples=60)
def test_ratios_of_a_bases_weights_give_the_weights_again_up_to_their_sum(
    tiny: MakeConfig, weights: list[float]
) -> None:
    base = with_heads(tiny, weights)
    entry = HeadWeightsEntry(low=0.2, high=5.0)
    values = entry.base_values("heads", base)
    assert values is not None
    scale = len(weights) / math.fsum(weights)
    assert list(entry.changes("heads", values, base).values()) == pytest.approx([weight * scale for weight in weights])


@pytest.mark.parametrize(
    ("weights", "values"),
    [
        ([1.0, 1.0], (1.0,)),
        ([2.0, 1.0, 4.0], (0.5, 2.0)),
        ([0.5, 1.0, 1.0, 1.0], (2.0, 2.0, 2.0)),
        ([1.0, 2.1], None),
        ([1.0, 1.0, 0.4], None),
        ([1.0, 0.0], None),
        ([0.0, 1.0], None),
    ],
)
def test_weights_beyond_the_range_have_no_place_in_it(
    weights: list[float], values: tuple[float, ...] | None, tiny: MakeConfig
) -> None:
    assert HeadWeightsEntry(low=0.5, high=2.0).base_values("heads", with_heads(tiny, weights)) == values


def test_the_first_heads_weight_moves_with_the_others(tiny: MakeConfig) -> None:
    base = with_heads(tiny, [1.0, 1.0, 1.0])
    assert HeadWeightsEntry().changes("heads", (0.5, 1.5), base) == {
        "heads.task0.weight": 1.0,
        "heads.task1.weight": 0.5,
        "heads.task2.weight": 1.5,
    }
