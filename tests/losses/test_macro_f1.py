from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torch import Tensor

from multitask.labels import MISSING

Build = Callable[..., Any]


@given(data=st.data(), num=st.integers(1, 30))
def test_of_certain_answers_it_is_the_f1_over_the_classes_in_the_batch(build: Build, data: Any, num: int) -> None:
    of_each = st.lists(st.integers(0, 3), min_size=num, max_size=num)
    given_, predicted = data.draw(of_each), data.draw(of_each)
    logits = torch.nn.functional.one_hot(torch.tensor(predicted), 4) * 1e4
    expected = f1_score(given_, predicted, labels=sorted(set(given_)), average="macro", zero_division=0.0)
    found = build("soft_macro_f1")(logits, torch.tensor(given_))
    assert 1 - found.item() == pytest.approx(expected, abs=1e-6)


def test_by_hand(build: Build) -> None:
    probs = torch.tensor([[0.5, 0.3, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1], [0.4, 0.4, 0.1, 0.1]])
    found = build("soft_macro_f1")(probs.log(), torch.tensor([0, 1, 1]), torch.tensor([1.0, 2.0, 1.0]))
    # Given: 1 and 3; predicted: .5 + 2 * .2 + .4 and .3 + 2 * .6 + .4; hits: .5 and 2 * .6 + .4.
    f1 = [2 * 0.5 / (1 + 1.3), 2 * 1.6 / (3 + 1.9)]
    assert found.item() == pytest.approx(1 - np.mean(f1))


def test_a_missing_label_is_no_prediction_either(build: Build, logits_of: Build, labels: Tensor) -> None:
    labels[2] = MISSING
    rest = [0, 1, 3, 4, 5]
    found = build("soft_macro_f1")(logits_of(), labels)
    assert found.item() == pytest.approx(build("soft_macro_f1")(logits_of()[rest], labels[rest]).item())


def test_only_the_ratios_of_the_weights_count(build: Build, logits_of: Build, labels: Tensor) -> None:
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.0])
    criterion = build("soft_macro_f1")
    assert torch.allclose(criterion(logits_of(), labels, weights), criterion(logits_of(), labels, 7 * weights))
