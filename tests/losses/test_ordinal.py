from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from multitask.labels import Task

Build = Callable[..., Any]
PROBS = torch.tensor([[0.5, 0.2, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])


# --- cumulative ----------------------------------------------------------------------------------------------------


def test_cumulative_by_hand(build: Build) -> None:
    found = build("cumulative").per_sample(PROBS.log(), torch.tensor([1, 3]))
    # Above a: .5, not above b: .7, not above c: .9; and above a, b, c: .9, .7, .4.
    expected = [-math.log(0.5) - math.log(0.7) - math.log(0.9), -math.log(0.9) - math.log(0.7) - math.log(0.4)]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_cumulative_is_torchs_binary_cross_entropies(build: Build, logits_of: Build, labels: Tensor) -> None:
    probs = logits_of().double().softmax(1)
    above = torch.stack([probs[:, k:].sum(1) for k in (1, 2, 3)], dim=1)
    levels = torch.stack([(labels >= k).double() for k in (1, 2, 3)], dim=1)
    expected = F.binary_cross_entropy(above.clamp(0, 1), levels, reduction="none").sum(1)
    assert torch.allclose(build("cumulative").per_sample(logits_of(), labels).double(), expected, rtol=1e-4)


def test_cumulative_of_two_classes_is_cross_entropy(build: Build) -> None:
    logits, labels = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1, 0, 1])
    found = build("cumulative", counts=(3, 4))(logits, labels)
    assert torch.allclose(found, build("cross_entropy", counts=(3, 4))(logits, labels))


@pytest.mark.parametrize("loss", ["cumulative", "mean_variance"])
def test_a_near_miss_costs_less_than_a_far_one(build: Build, loss: str) -> None:
    near, far = torch.tensor([[0.0, 5, 0, 0]]), torch.tensor([[0.0, 0, 0, 5]])
    criterion, label = build(loss, counts=(5, 5, 5, 5), centres=[5.0, 15.0, 25.0, 35.0]), torch.tensor([0])
    assert criterion(near, label) < criterion(far, label)
    plain = build("cross_entropy")
    assert plain(near, label) == pytest.approx(plain(far, label).item())


# --- mean-variance -------------------------------------------------------------------------------------------------


def test_mean_variance_by_hand(build: Build) -> None:
    counts, centres = np.array([50.0, 10.0, 0.0, 3.0]), np.array([5.0, 15.0, 25.0, 35.0])  # the unseen: 20 to 30
    shares = counts / counts.sum()
    mean = (shares * centres).sum()
    values = (centres - mean) / math.sqrt((shares * (centres - mean) ** 2).sum())
    found = build("mean_variance", mean_weight=0.3, variance_weight=0.1).per_sample(PROBS.log(), torch.tensor([1, 3]))
    expected = []
    for row, label in zip(PROBS.double().numpy(), (1, 3), strict=True):
        expectation = (row * values).sum()
        variance = (row * (values - expectation) ** 2).sum()
        expected.append(-math.log(row[label]) + 0.3 * (expectation - values[label]) ** 2 / 2 + 0.1 * variance)
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("unit", [1.0, 365.0, 1e-3])
def test_mean_variance_does_not_depend_on_the_numbers_unit(chosen: Build, unit: float) -> None:
    from multitask.losses.training_labels import TrainingLabels

    task = Task("age", ("young", "old"), "binned", (30.0 * unit,))
    data = TrainingLabels(task, np.array([7.0, 3.0]), np.array([20.0, 45.0]) * unit)
    logits = torch.tensor([[0.5, -0.2]]).log_softmax(1)
    loss = chosen("mean_variance").build(data)
    found = loss(logits, torch.tensor([1]), torch.ones(1), torch.full((1,), math.nan))
    deviation = math.sqrt(0.21) * 25  # of 7 at 20 and 3 at 45
    p = torch.tensor([0.5, -0.2]).softmax(0)
    expected = -math.log(p[1]) + 0.2 * (p[0] * 25 / deviation) ** 2 / 2 + 0.05 * p[0] * p[1] * (25 / deviation) ** 2
    assert found.item() == pytest.approx(float(expected), rel=1e-4)


def test_mean_variance_without_its_terms_is_cross_entropy(build: Build, logits_of: Build, labels: Tensor) -> None:
    found = build("mean_variance", mean_weight=0.0, variance_weight=0.0)(logits_of(), labels)
    assert torch.allclose(found, build("cross_entropy")(logits_of(), labels))


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (5, 0, 0, 0)])
def test_mean_variance_of_one_class_or_none_is_finite(
    build: Build, logits_of: Build, labels: Tensor, counts: Any
) -> None:
    assert torch.isfinite(build("mean_variance", counts=counts)(logits_of(), labels))


# --- soft labels ---------------------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("kind", ["gaussian", "sord"])


def label_of(number: float) -> int:
    return int(np.searchsorted([10.0, 20.0, 30.0], np.float32(number), side="right"))


def targets(build: Build, number: float, label: int | None = None, **keys: Any) -> np.ndarray[Any, Any]:
    loss = build("soft_labels", **keys).loss
    label = label_of(number) if label is None else label
    found: np.ndarray[Any, Any] = loss.targets(torch.tensor([label]), torch.tensor([number]))[0].double().numpy()
    return found


def gaussian_below(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def test_gaussian_targets_by_hand(build: Build) -> None:
    below = [gaussian_below((edge - 28) / 3) for edge in (10, 20, 30)]
    expected = np.diff([0, *below, 1])
    np.testing.assert_allclose(targets(build, 28.0, width=3.0), expected, atol=1e-6)
    assert expected[3] == pytest.approx(0.2525, abs=1e-4), "somebody of 28 is a quarter 30"


def test_sord_targets_are_the_mass_of_an_exponential(build: Build) -> None:
    fine = np.linspace(-400, 400, 800_001)
    mass = np.exp(-np.abs(fine - 28) / 3)
    mass /= mass.sum()
    bins = np.searchsorted([10, 20, 30], fine, side="right")
    expected = np.bincount(bins, mass)
    np.testing.assert_allclose(targets(build, 28.0, width=3.0, kind="sord"), expected, atol=1e-3)


@BOTH
@given(number=st.floats(-50, 90, width=32), width=st.floats(0.05, 50))
def test_targets_are_a_distribution_that_falls_away_from_the_number(
    build: Build, kind: str, number: float, width: float
) -> None:
    found = targets(build, number, kind=kind, width=width)
    assert found.sum() == pytest.approx(1.0, abs=1e-5)
    assert (found >= 0).all()
    # The inner ranges are equally wide: the further from the number, the less.
    if label_of(number) in (0, 3):
        inner = found[1:3] if number < 10 else found[1:3][::-1]
        assert inner[0] >= inner[1] - 1e-6


@BOTH
@given(numbers=st.lists(st.floats(-50, 90, width=32), min_size=2, max_size=2))
def test_the_higher_the_number_the_more_is_above_each_edge(build: Build, kind: str, numbers: list[float]) -> None:
    low, high = (targets(build, number, kind=kind, width=5.0)[::-1].cumsum() for number in sorted(numbers))
    assert (high >= low - 1e-6).all()


@BOTH
def test_narrow_soft_labels_are_the_label_and_cross_entropy(
    build: Build, logits_of: Build, labels: Tensor, kind: str
) -> None:
    numbers = torch.tensor([5.0, 19.0, 30.5, 24.0, 9.9, 10.1])
    narrow = build("soft_labels", kind=kind, width=1e-3, class_weights="inverse_frequency")
    plain = build("cross_entropy", class_weights="inverse_frequency")
    assert torch.allclose(narrow(logits_of(), labels, numbers=numbers), plain(logits_of(), labels))


@BOTH
def test_without_a_number_the_target_is_the_label(build: Build, logits_of: Build, labels: Tensor, kind: str) -> None:
    found = build("soft_labels", kind=kind, width=9.0)(logits_of(), labels)
    assert torch.allclose(found, build("cross_entropy")(logits_of(), labels))


def test_a_number_that_the_label_was_not_made_of_is_not_believed(build: Build) -> None:
    assert targets(build, 28.0, label=0).tolist() == [1, 0, 0, 0]


def test_offset_moves_the_number(build: Build) -> None:
    np.testing.assert_allclose(targets(build, 30.0, width=3.0), targets(build, 30.0, width=3.0, offset=0.0))
    assert targets(build, 30.0, width=3.0)[3] == pytest.approx(0.5)
    expected = 1 - gaussian_below(-0.5 / 3)
    assert targets(build, 30.0, width=3.0, offset=0.5)[3] == pytest.approx(expected, abs=1e-6)


def test_loss_is_the_cross_entropy_to_the_targets(build: Build, logits_of: Build, labels: Tensor) -> None:
    numbers = torch.tensor([5.0, 19.0, 30.5, 24.0, 9.9, 10.1])
    criterion = build("soft_labels", width=4.0)
    expected = F.cross_entropy(logits_of(), criterion.loss.targets(labels, numbers), reduction="none")
    assert torch.allclose(criterion.per_sample(logits_of(), labels, numbers), expected, atol=1e-5)
    assert not torch.allclose(expected, F.cross_entropy(logits_of(), labels, reduction="none"))


# --- which tasks they can be of --------------------------------------------------------------------------------------

NOMINAL = Task("colour", ("red", "green"))
ORDINAL = Task("size", ("small", "large"), "ordinal")
BINNED = Task("age", ("<30", ">=30"), "binned", (30.0,))


@pytest.mark.parametrize("loss", ["cumulative", "mean_variance", "soft_labels"])
def test_tasks_without_order_or_numbers_are_refused(chosen: Build, loss: str) -> None:
    assert [line.partition(":")[0] for line in chosen(loss).problems(NOMINAL)] == ["name"]
    assert len(list(chosen(loss).problems(ORDINAL))) == (0 if loss == "cumulative" else 1)
    assert not list(chosen(loss).problems(BINNED))
    (line,) = chosen("sum", second={"name": loss}).problems(NOMINAL)
    assert line.startswith(f"second.name: {loss} needs ")
