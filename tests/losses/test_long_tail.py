from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

Build = Callable[..., Any]


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_logit_adjusted_is_equation_10(build: Build, logits_of: Build, labels: Tensor, tau: float) -> None:
    criterion = build("logit_adjusted", counts=(50, 10, 25, 15), tau=tau)
    shifted = logits_of() + tau * torch.tensor([0.5, 0.1, 0.25, 0.15]).log()
    expected = F.cross_entropy(shifted, labels, reduction="none")
    assert torch.allclose(criterion.per_sample(logits_of(), labels), expected, atol=1e-5)


def test_logit_adjusted_with_tau_0_is_cross_entropy(build: Build, logits_of: Build, labels: Tensor) -> None:
    found = build("logit_adjusted", tau=0.0)(logits_of(), labels)
    assert torch.allclose(found, build("cross_entropy")(logits_of(), labels))


def test_logit_adjusted_takes_an_unseen_class_for_half_an_image(build: Build) -> None:
    found = build("logit_adjusted", counts=(9, 0)).per_sample(torch.zeros(1, 2), torch.tensor([0]))
    assert found.item() == pytest.approx(-np.log(9 / 9.5))


def ldam(logits: Any, label: int, margins: Any, scale: float) -> float:
    """Equation 12 of the paper, of cosines: scale (cos - margin at the label), then cross entropy."""
    lowered = np.array(logits, dtype=float)
    lowered[label] -= margins[label]
    scaled = scale * lowered
    return float(np.log(np.exp(scaled).sum()) - scaled[label])


def test_margins_fall_with_the_fourth_root_and_the_rarest_has_the_widest(chosen: Build) -> None:
    found = chosen("ldam", max_margin=0.6).margins(np.array([1600.0, 100.0, 0.0, 16 * 100.0, 100 / 16]))
    np.testing.assert_allclose(found, [0.15, 0.3, 0.6, 0.15, 0.6])
    assert (chosen("ldam").margins(np.zeros(3)) == 0).all()


@given(
    cosines=st.lists(st.floats(-1, 1), min_size=3, max_size=3),
    label=st.integers(0, 2),
    scale=st.sampled_from([1.0, 10.0, 30.0]),
)
def test_ldam_of_a_cosine_head_is_the_papers(build: Build, cosines: list[float], label: int, scale: float) -> None:
    criterion = build("ldam", counts=(81, 16, 1), max_margin=0.5, scale=scale)
    logits = scale * torch.tensor([cosines], dtype=torch.float64)  # what such a head makes of them
    expected = ldam(cosines, label, [0.5 / 3, 0.25, 0.5], scale)
    assert criterion.per_sample(logits, torch.tensor([label])).item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_ldam_in_single_precision_is_that_of_double(build: Build) -> None:
    logits = torch.tensor([[0.0, spread] for spread in (-20.0, -17.0, -10.0, -1.0, 5.0, 40.0)])
    criterion = build("ldam", counts=(4, 4), scale=20.0)
    labels = torch.zeros(6, dtype=torch.int64)
    found = criterion.per_sample(logits, labels)
    expected = [ldam(row / 20, 0, [0.5, 0.5], 20.0) for row in logits.double().numpy()]
    assert found.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-2)


def test_ldam_without_a_margin_is_cross_entropy(build: Build, logits_of: Build, labels: Tensor) -> None:
    found = build("ldam", max_margin=0.0)(logits_of(), labels)
    assert torch.allclose(found, build("cross_entropy")(logits_of(), labels), atol=1e-6)
