from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

Build = Callable[..., Any]
PROBS = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.2, 0.5, 0.2, 0.1]])


def test_generalised_cross_entropy_by_hand(build: Build) -> None:
    found = build("generalised_cross_entropy", q=0.5).per_sample(PROBS.log(), torch.tensor([0, 3]))
    assert found.tolist() == pytest.approx([2 * (1 - 0.7**0.5), 2 * (1 - 0.1**0.5)], rel=1e-5)


def test_generalised_cross_entropy_is_between_cross_entropy_and_the_absolute_error(
    build: Build, logits_of: Build, labels: Tensor
) -> None:
    nearly = build("generalised_cross_entropy", q=1e-4)(logits_of(), labels)
    assert nearly.item() == pytest.approx(build("cross_entropy")(logits_of(), labels).item(), rel=1e-3)
    one_hot = torch.nn.functional.one_hot(labels, 4)
    absolute = (logits_of().softmax(1) - one_hot).abs().sum(1) / 2
    torch.testing.assert_close(build("generalised_cross_entropy", q=1.0).per_sample(logits_of(), labels), absolute)


def test_symmetric_cross_entropy_by_hand(build: Build) -> None:
    """The reverse term as the paper has it: -sum over classes of p log(label), with log 0 = A and log 1 = 0."""
    found = build("symmetric_cross_entropy", alpha=0.3, beta=2.0, log_zero=-5.0).per_sample(
        PROBS.log(), torch.tensor([0, 3])
    )
    expected = []
    for row, label in zip(PROBS.double().numpy(), (0, 3), strict=True):
        log_label = np.where(np.arange(4) == label, 0.0, -5.0)
        expected.append(0.3 * -math.log(row[label]) + 2.0 * -(row * log_label).sum())
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_symmetric_cross_entropy_without_its_reverse_is_cross_entropy(
    build: Build, logits_of: Build, labels: Tensor
) -> None:
    found = build("symmetric_cross_entropy", alpha=1.0, beta=0.0)(logits_of(), labels)
    assert torch.allclose(found, build("cross_entropy")(logits_of(), labels))


@given(p=st.floats(1e-6, 0.4))
def test_a_label_that_is_hardly_believed_pulls_less_than_by_cross_entropy(build: Build, p: float) -> None:
    """What makes them robust: the slope by the label's logit goes to 0 with p, where cross entropy's goes to 1."""
    slopes = []
    for loss in ("generalised_cross_entropy", "symmetric_cross_entropy", "cross_entropy"):
        keys = {"alpha": 0.0} if loss.startswith("symmetric") else {}
        logits = torch.tensor([[math.log(p / (1 - p)), 0.0]], dtype=torch.float64, requires_grad=True)
        build(loss, counts=(1, 1), **keys)(logits, torch.tensor([0])).backward()
        assert logits.grad is not None
        slopes.append(-float(logits.grad[0, 0]))
    generalised, symmetric, plain = slopes
    assert plain == pytest.approx(1 - p)
    assert generalised == pytest.approx(p**0.7 * (1 - p))
    assert symmetric == pytest.approx(4 * p * (1 - p))
