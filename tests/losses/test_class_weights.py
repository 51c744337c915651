from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.errors import UserError
from multitask.losses import CLASS_WEIGHTS, CrossEntropySettings
from multitask.losses.class_weights import ClassWeightSettings
from multitask.settings import validate
from multitask.testing.class_weights import (
    CLASS_WEIGHT_CHECKS,
    COUNTS,
    gives_each_class_a_finite_weight,
    mean_weight_over_the_training_images_is_1,
)

every_weights = pytest.mark.parametrize("name", CLASS_WEIGHTS)


def chosen(name: str, **keys: Any) -> ClassWeightSettings:
    if name == "explicit":
        keys["values"] = [1.0, 2.0, 0.5, 4.0]
    return validate(CrossEntropySettings, {"class_weights": {"name": name, **keys}}).class_weights


@every_weights
@pytest.mark.parametrize("check", CLASS_WEIGHT_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[ClassWeightSettings], None], name: str) -> None:
    check(chosen(name))


@every_weights
@given(counts=st.lists(st.integers(0, 5000), min_size=4, max_size=4).filter(any))
@settings(deadline=None, max_examples=50)
def test_weights_are_finite_and_of_mean_1_over_the_training_images(name: str, counts: list[int]) -> None:
    mean_weight_over_the_training_images_is_1(chosen(name), list(map(float, counts)))
    gives_each_class_a_finite_weight(chosen(name), list(map(float, counts)))


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999])
def test_effective_number_is_equation_2(beta: float) -> None:
    counts = [100, 10, 1, 7]
    raw = [1 / sum(beta**k for k in range(n)) for n in counts]  # the geometric sum of the paper's equation 1
    mean = sum(w * n for w, n in zip(raw, counts, strict=True)) / sum(counts)
    found = chosen("effective_number", beta=beta).scaled(np.array(counts, dtype=float))
    assert found.tolist() == pytest.approx([w / mean for w in raw], rel=1e-5)


def test_inverse_frequency_gives_every_class_the_same_say_and_its_power_goes_half_the_way() -> None:
    counts = np.array([80.0, 10, 5, 5])
    full = chosen("inverse_frequency").scaled(counts).numpy()
    assert (full * counts) == pytest.approx(np.full(4, 25.0))
    half = chosen("inverse_frequency", power=0.5).raw(counts)
    assert half / half[0] == pytest.approx(np.sqrt(full / full[0]), rel=1e-6)


def test_explicit_weights_keep_their_ratios() -> None:
    weights = chosen("explicit").scaled(np.array(COUNTS))
    assert (weights / weights[0]).tolist() == pytest.approx([1.0, 2.0, 0.5, 4.0])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"name": "explicit", "values": [0.0, 0.0]}, "values must not all be 0"),
        ({"name": "explicit", "values": [1.0, -1.0]}, r"values\.1: .*greater than or equal to 0"),
        ("inverse_freqency", "did you mean 'inverse_frequency'"),
    ],
)
def test_impossible_settings_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(CrossEntropySettings, {"class_weights": weights})
