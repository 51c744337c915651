from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from multitask.errors import UserError
from multitask.labels import MISSING, Task
from multitask.objective.losses import (
    AnyClassWeights,
    AnyLoss,
    JointLoss,
    LossSettings,
    TaskLoss,
    TrainingLabels,
    training_labels,
)
from multitask.settings import validate, variant_classes

LOSSES = variant_classes(AnyLoss)
WEIGHTS = variant_classes(AnyClassWeights)
COUNTS = np.array([50.0, 10.0, 0.0, 3.0])
"""Of training pictures; the third class was never seen."""

every_loss = pytest.mark.parametrize("loss", LOSSES)
every_weights = pytest.mark.parametrize("class_weights", WEIGHTS)
every_smoothing = pytest.mark.parametrize("smoothing", [0.0, 0.2])


def chosen(loss: str, class_weights: str = "none", smoothing: float = 0.0, **changes: Any) -> LossSettings:
    weights: dict[str, Any] = {"name": class_weights}
    if class_weights == "explicit":
        weights["values"] = [1.0, 2.0, 0.5, 4.0]
    return validate(LOSSES[loss], {"name": loss, "class_weights": weights, "smoothing": smoothing, **changes})


class OnLogits:
    """A loss as of logits, from which heads make log-probabilities."""

    def __init__(self, loss: TaskLoss) -> None:
        self.loss = loss
        self.weights = loss.weights

    def per_sample(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.loss.per_sample(F.log_softmax(logits.float(), dim=1), labels)

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        numbers = torch.full(labels.shape, math.nan)
        value: Tensor = self.loss(F.log_softmax(logits.float(), dim=1), labels, weights, numbers)
        return value


def build(*args: Any, counts: Any = COUNTS, **changes: Any) -> OnLogits:
    counts = np.asarray(counts, dtype=float)
    task = Task("task", tuple("abcdefghij"[: len(counts)]))
    return OnLogits(TaskLoss(chosen(*args, **changes), TrainingLabels(task, counts, np.full(len(counts), np.nan))))


def logits_of(batch: int = 6, dtype: torch.dtype = torch.float32) -> Tensor:
    values = torch.randn(batch, 4, generator=torch.Generator().manual_seed(3)) * 3
    return values.to(dtype).requires_grad_()


LABELS = torch.tensor([0, 1, 3, 2, 0, 1])
ONES = torch.ones(6)


# --- contract of every loss with every class weights ------------------------------------------------------------


@every_smoothing
@every_weights
@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_is_finite_and_has_a_finite_gradient(
    loss: str, class_weights: str, smoothing: float, dtype: torch.dtype
) -> None:
    logits = logits_of(dtype=dtype)
    value = build(loss, class_weights, smoothing)(logits, LABELS, ONES)
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert value > 0
    value.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().sum() > 0


@every_smoothing
@every_weights
@every_loss
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_certain_logits_stay_finite(loss: str, class_weights: str, smoothing: float, scale: float) -> None:
    logits = (F.one_hot(LABELS, 4) * scale).float().requires_grad_()
    value = build(loss, class_weights, smoothing)(logits, LABELS, ONES)
    value.backward()
    assert torch.isfinite(value)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@every_smoothing
@every_weights
@every_loss
def test_missing_labels_give_an_exact_zero_that_is_part_of_the_graph(
    loss: str, class_weights: str, smoothing: float
) -> None:
    criterion = build(loss, class_weights, smoothing)
    logits = logits_of()
    labels = LABELS.clone()
    labels[[1, 4]] = MISSING
    each = criterion.per_sample(logits, labels)
    assert each.shape == (6,)
    assert (each[[1, 4]] == 0).all()
    criterion(logits, labels, ONES).backward()
    assert logits.grad is not None
    assert (logits.grad[[1, 4]] == 0).all()
    assert (logits.grad[[0, 2, 3, 5]].abs().sum(dim=1) > 0).all()

    known = [0, 2, 3, 5]
    alone = criterion(logits_of()[known], labels[known], ONES[known])
    assert torch.allclose(criterion(logits_of(), labels, ONES), alone)


@every_smoothing
@every_weights
@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_batch_without_labels_gives_an_exact_zero_with_zero_gradients(
    loss: str, class_weights: str, smoothing: float, dtype: torch.dtype
) -> None:
    logits = logits_of(dtype=dtype)
    value = build(loss, class_weights, smoothing)(logits, torch.full((6,), MISSING), ONES)
    assert value == 0
    value.backward()
    assert logits.grad is not None
    assert (logits.grad == 0).all()


@every_smoothing
@every_weights
@every_loss
def test_sample_weights_scale_each_sample(loss: str, class_weights: str, smoothing: float) -> None:
    criterion = build(loss, class_weights, smoothing)
    logits, weights = logits_of(), torch.tensor([0.0, 1.0, 2.0, 0.5, 1.0, 3.0])
    each = criterion.per_sample(logits, LABELS)
    assert torch.allclose(criterion(logits, LABELS, weights), (each * weights).sum() / 6)
    criterion(logits, LABELS, weights).backward()
    assert logits.grad is not None
    assert (logits.grad[0] == 0).all()


@every_loss
def test_has_no_state_to_save(loss: str) -> None:
    criterion = build(loss, "inverse_frequency").loss
    assert criterion.state_dict() == {}
    assert list(criterion.parameters()) == []


# --- golden values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@every_weights
def test_cross_entropy_is_that_of_torch(class_weights: str, smoothing: float) -> None:
    criterion = build("cross_entropy", class_weights, smoothing)
    logits = logits_of()
    expected = F.cross_entropy(logits, LABELS, weight=criterion.weights, label_smoothing=smoothing, reduction="none")
    assert torch.allclose(criterion.per_sample(logits, LABELS), expected, atol=1e-6)


def test_unweighted_cross_entropy_is_the_mean_of_torch() -> None:
    logits, labels = logits_of(), LABELS.clone()
    labels[2] = MISSING
    expected = F.cross_entropy(logits, labels, ignore_index=MISSING)
    assert torch.allclose(build("cross_entropy")(logits, labels, ONES), expected)


def test_focal_by_hand() -> None:
    probs = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.2, 0.5, 0.2, 0.1]])
    criterion = build("focal", gamma=2.0)
    found = criterion.per_sample(probs.log(), torch.tensor([0, 3]))
    expected = [0.3**2 * -math.log(0.7), 0.9**2 * -math.log(0.1)]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    weighted = build("focal", "explicit", gamma=0.5)
    found = weighted.per_sample(probs.log(), torch.tensor([0, 3]))
    scale = 63 / (50 * 1 + 10 * 2 + 3 * 4)
    expected = [scale * 1 * 0.3**0.5 * -math.log(0.7), scale * 4 * 0.9**0.5 * -math.log(0.1)]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


@every_weights
@every_smoothing
def test_focal_with_gamma_0_is_cross_entropy(class_weights: str, smoothing: float) -> None:
    focal = build("focal", class_weights, smoothing, gamma=0.0)
    plain = build("cross_entropy", class_weights, smoothing)
    assert torch.allclose(focal(logits_of(), LABELS, ONES), plain(logits_of(), LABELS, ONES))


def test_focal_gives_easy_samples_less_say() -> None:
    easy, hard = torch.tensor([[4.0, 0, 0, 0]]), torch.tensor([[-2.0, 0, 0, 0]])
    label = torch.tensor([0])
    shares = [
        float(build("focal", gamma=gamma).per_sample(easy, label) / build("focal", gamma=gamma).per_sample(hard, label))
        for gamma in (0.0, 1.0, 2.0, 5.0)
    ]
    assert shares == sorted(shares, reverse=True)


def test_gradient_of_every_loss_is_that_of_its_value() -> None:
    for loss in LOSSES:
        criterion = build(loss, "effective_number", 0.1)
        logits = logits_of()
        criterion(logits, LABELS, ONES).backward()
        direction = torch.randn(6, 4, generator=torch.Generator().manual_seed(7))
        with torch.no_grad():
            step = 1e-2
            up = criterion(logits + step * direction, LABELS, ONES)
            down = criterion(logits - step * direction, LABELS, ONES)
        assert logits.grad is not None
        slope = float((up - down) / (2 * step))
        assert float((logits.grad * direction).sum()) == pytest.approx(slope, rel=2e-3)


# --- class weights ----------------------------------------------------------------------------------------------


@every_weights
@given(counts=st.lists(st.integers(0, 5000), min_size=4, max_size=4).filter(any))
@settings(deadline=None, max_examples=50)
def test_mean_weight_over_the_training_pictures_is_1(class_weights: str, counts: list[int]) -> None:
    array = np.array(counts, dtype=float)
    weights = chosen("cross_entropy", class_weights).weights(array).double().numpy()
    assert np.isfinite(weights).all()
    assert (weights * array).sum() / array.sum() == pytest.approx(1.0, rel=1e-5)


@every_weights
def test_nothing_seen_at_all_gives_finite_weights(class_weights: str) -> None:
    weights = chosen("cross_entropy", class_weights).weights(np.zeros(4))
    assert torch.isfinite(weights).all()
    assert weights.mean() == pytest.approx(1.0)


@every_weights
def test_unseen_class_has_a_finite_positive_weight(class_weights: str) -> None:
    weights = chosen("cross_entropy", class_weights).weights(COUNTS)
    assert torch.isfinite(weights).all()
    assert (weights > 0).all()


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999])
def test_effective_number_is_equation_2(beta: float) -> None:
    counts = [100, 10, 1, 7]
    settings_ = chosen("cross_entropy", class_weights="effective_number")
    settings_ = settings_.model_copy(update={"class_weights": WEIGHTS["effective_number"](beta=beta)})
    raw = [1 / sum(beta**k for k in range(n)) for n in counts]  # the geometric sum of the paper's equation 1
    mean = sum(w * n for w, n in zip(raw, counts, strict=True)) / sum(counts)
    assert settings_.weights(np.array(counts, dtype=float)).tolist() == pytest.approx([w / mean for w in raw], rel=1e-5)


def test_inverse_frequency_gives_every_class_the_same_say_and_its_power_goes_half_the_way() -> None:
    counts = np.array([80.0, 10, 5, 5])
    full = chosen("cross_entropy", "inverse_frequency").weights(counts).numpy()
    assert (full * counts) == pytest.approx(np.full(4, 25.0))
    half = WEIGHTS["inverse_frequency"](power=0.5).raw(counts)  # type: ignore[attr-defined]
    assert half / half[0] == pytest.approx(np.sqrt(full / full[0]), rel=1e-6)


def test_explicit_weights_keep_their_ratios() -> None:
    weights = chosen("cross_entropy", "explicit").weights(COUNTS)
    assert (weights / weights[0]).tolist() == pytest.approx([1.0, 2.0, 0.5, 4.0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"class_weights": {"name": "explicit", "values": [0.0, 0.0]}}, "values must not all be 0"),
        ({"class_weights": {"name": "explicit", "values": [1.0, -1.0]}}, r"values\.1: .*greater than or equal to 0"),
        ({"class_weights": "inverse_freqency"}, "did you mean 'inverse_frequency'"),
        ({"smoothing": 1.0}, "^smoothing: "),
        ({"gamma": -1.0, "name": "focal"}, "^gamma: "),
    ],
)
def test_impossible_settings_are_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(LOSSES[data.get("name", "cross_entropy")], data)


def test_a_joint_loss_is_that_of_the_classes_that_can_occur() -> None:
    possible = np.array([True, False, True, True])
    task = Task("joint", ("a", "c", "d"))
    data = TrainingLabels(task, np.array([3.0, 1.0, 2.0]), np.full(3, np.nan))
    loss = TaskLoss(chosen("cross_entropy", smoothing=0.1), data)
    joint = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    joint[:, 1] = -math.inf
    joint = joint.log_softmax(1).requires_grad_()
    unknown = torch.full((4,), math.nan)
    found = JointLoss(loss, possible)(joint, torch.tensor([0, 2, MISSING, 3]), torch.ones(4), unknown)
    expected = F.cross_entropy(
        joint[:, [0, 2, 3]], torch.tensor([0, 1, -100, 2]), label_smoothing=0.1, ignore_index=-100
    )
    torch.testing.assert_close(found, expected)
    found.backward()
    assert joint.grad is not None
    assert torch.isfinite(joint.grad).all()


def test_centres_are_the_mean_numbers_of_each_label() -> None:
    labels = np.array([0, 0, 1, MISSING, 2])
    data = training_labels(Task("age", ("a", "b", "c")), labels, np.array([10.0, 20.0, 40.0, 50.0, np.nan]))
    np.testing.assert_array_equal(data.counts, [2, 1, 1])
    np.testing.assert_array_equal(data.centres, [15.0, 40.0, np.nan])
