from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Build = Callable[..., Any]


def test_it_is_the_weighted_sum(build: Build, logits_of: Build, labels: Tensor, numbers: Tensor) -> None:
    soft = {"name": "soft_labels", "width": 4.0}
    found = build("sum", first=soft, second={"name": "focal", "gamma": 1.0}, second_weight=0.3)
    one, other = build("soft_labels", width=4.0), build("focal", gamma=1.0)
    expected = one(logits_of(), labels, numbers=numbers) + 0.3 * other(logits_of(), labels)
    assert torch.allclose(found(logits_of(), labels, numbers=numbers), expected)


def test_with_weight_0_it_is_the_first(build: Build, logits_of: Build, labels: Tensor) -> None:
    found = build("sum", first="focal", second="soft_macro_f1", second_weight=0.0)
    assert found(logits_of(), labels) == build("focal")(logits_of(), labels)


def test_by_default_it_is_cross_entropy_and_soft_macro_f1(build: Build, logits_of: Build, labels: Tensor) -> None:
    expected = build("cross_entropy")(logits_of(), labels) + build("soft_macro_f1")(logits_of(), labels)
    assert torch.allclose(build("sum")(logits_of(), labels), expected)


def test_both_hear_of_the_epoch(build: Build, logits_of: Build, labels: Tensor) -> None:
    late = {"name": "focal", "class_weights": "inverse_frequency", "deferred": 0.5}
    found = build("sum", first=late, second=late)
    found.loss.begin_epoch(1, 2)
    assert torch.allclose(found(logits_of(), labels), 2 * build("focal")(logits_of(), labels))
    found.loss.begin_epoch(2, 2)
    weighted = build("focal", class_weights="inverse_frequency")
    assert torch.allclose(found(logits_of(), labels), 2 * weighted(logits_of(), labels))
