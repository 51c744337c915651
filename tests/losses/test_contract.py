"""What holds of every loss, with every class weights, smoothed or not."""

from __future__ import annotations

from collections.abc import Callable
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
from multitask.losses import CLASS_WEIGHTS, LOSSES
from multitask.losses.task_losses import ClasswiseLoss, JointLoss
from multitask.losses.training_labels import TrainingLabels
from multitask.settings import validate

WEIGHTS = CLASS_WEIGHTS
Build = Callable[..., Any]


def keys_of(loss: str, class_weights: str, smoothing: float, deferred: float = 0.0) -> dict[str, Any] | None:
    """The loss's keys that ask for this; None where it has no place for it."""
    weights: dict[str, Any] = {"name": class_weights}
    if class_weights == "explicit":
        weights["values"] = [1.0, 2.0, 0.5, 4.0]
    wanted = {"class_weights": weights, "smoothing": smoothing, "deferred": deferred}
    if loss == "sum":
        return {"first": {"name": "focal", **wanted}, "second": "cumulative", "second_weight": 0.5}
    plain = {"class_weights": {"name": "none"}, "smoothing": 0.0, "deferred": 0.0}
    fields = LOSSES[loss].model_fields
    if any(key not in fields and value != plain[key] for key, value in wanted.items()):
        return None
    return {key: value for key, value in wanted.items() if key in fields}


CASES = {
    f"{loss}-{weights}-{smoothing:g}": (loss, keys)
    for loss in LOSSES
    for weights in WEIGHTS
    for smoothing in (0.0, 0.2)
    if (keys := keys_of(loss, weights, smoothing)) is not None
}
every_case = pytest.mark.parametrize(("loss", "keys"), CASES.values(), ids=CASES)
every_loss = pytest.mark.parametrize("loss", LOSSES)
half_too = pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])


def test_what_a_loss_has_no_place_for_cannot_be_set() -> None:
    missing = {
        (loss, key) for loss in LOSSES for key in ("class_weights", "smoothing") if key not in LOSSES[loss].model_fields
    }
    assert missing == {
        ("class_balanced_focal", "class_weights"),
        ("mean_variance", "smoothing"),
        ("soft_labels", "smoothing"),
        ("soft_macro_f1", "class_weights"),
        ("soft_macro_f1", "smoothing"),
        ("sum", "class_weights"),
        ("sum", "smoothing"),
    }
    for loss, key in missing:
        with pytest.raises(UserError, match=f"^{key}: unknown key"):
            validate(LOSSES[loss], {key: 0.1})


@every_case
@half_too
def test_is_finite_and_has_a_finite_gradient(
    build: Build, logits_of: Build, labels: Tensor, numbers: Tensor, loss: str, keys: Any, dtype: torch.dtype
) -> None:
    logits = logits_of(dtype=dtype)
    value = build(loss, **keys)(logits, labels, numbers=numbers)
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert value > 0
    value.backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().sum() > 0


@every_case
@pytest.mark.parametrize("scale", [1e4, -1e4, 30.0, 16.0])
def test_certain_logits_stay_finite(
    build: Build, labels: Tensor, numbers: Tensor, loss: str, keys: Any, scale: float
) -> None:
    logits = (F.one_hot(labels, 4) * scale).float().requires_grad_()
    value = build(loss, **keys)(logits, labels, numbers=numbers)
    value.backward()
    assert torch.isfinite(value)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@every_case
def test_missing_labels_count_for_nothing(
    build: Build, logits_of: Build, labels: Tensor, numbers: Tensor, loss: str, keys: Any
) -> None:
    criterion = build(loss, **keys)
    logits = logits_of()
    gone, known = [1, 4], [0, 2, 3, 5]
    labels[gone] = MISSING
    criterion(logits, labels, numbers=numbers).backward()
    assert (logits.grad[gone] == 0).all()
    assert (logits.grad[known].abs().sum(dim=1) > 0).all()
    alone = criterion(logits_of()[known], labels[known], numbers=numbers[known])
    assert torch.allclose(criterion(logits_of(), labels, numbers=numbers), alone)


@every_case
@half_too
def test_batch_without_labels_gives_an_exact_zero_with_zero_gradients(
    build: Build, logits_of: Build, numbers: Tensor, loss: str, keys: Any, dtype: torch.dtype
) -> None:
    logits = logits_of(dtype=dtype)
    value = build(loss, **keys)(logits, torch.full((6,), MISSING), numbers=numbers)
    assert value == 0
    value.backward()
    assert (logits.grad == 0).all()


@every_case
def test_sample_of_weight_0_counts_for_nothing(
    build: Build, logits_of: Build, labels: Tensor, numbers: Tensor, loss: str, keys: Any
) -> None:
    criterion, logits = build(loss, **keys), logits_of()
    weights = torch.tensor([0.0, 1.0, 2.0, 0.5, 1.0, 3.0])
    criterion(logits, labels, weights, numbers).backward()
    assert (logits.grad[0] == 0).all()
    assert (logits.grad[1:].abs().sum(dim=1) > 0).all()
    nothing = criterion(logits_of(), labels, torch.zeros(6), numbers)
    assert nothing == 0
    assert nothing.requires_grad


@every_case
def test_loss_is_the_weighted_mean_of_what_is_per_sample(
    build: Build, logits_of: Build, labels: Tensor, numbers: Tensor, loss: str, keys: Any
) -> None:
    criterion, logits = build(loss, **keys), logits_of()
    if not isinstance(criterion.loss, ClasswiseLoss):
        assert loss in ("soft_macro_f1", "sum")
        return
    labels[1] = MISSING
    weights = torch.tensor([0.0, 1.0, 2.0, 0.5, 1.0, 3.0])
    each = criterion.per_sample(logits, labels, numbers)
    assert each.shape == (6,)
    assert each[1] == 0
    assert torch.allclose(criterion(logits, labels, weights, numbers), (each * weights).sum() / 6.5)  # 1.0 is unknown


@every_case
def test_only_the_ratios_of_sample_weights_count(
    build: Build, logits_of: Build, labels: Tensor, numbers: Tensor, loss: str, keys: Any
) -> None:
    criterion, logits = build(loss, **keys), logits_of()
    weights = torch.tensor([0.0, 1.0, 2.0, 0.5, 1.0, 3.0])
    once, ten = (criterion(logits, labels, factor * weights, numbers) for factor in (1, 10))
    assert torch.allclose(once, ten)
    rest = criterion(logits[1:], labels[1:], weights[1:], numbers[1:])
    assert torch.allclose(once, rest)  # a sample that weighs nothing might as well not be there
    nothing = criterion(logits, labels, 0 * weights, numbers)
    assert nothing == 0
    assert nothing.requires_grad


@every_case
def test_gradient_is_that_of_the_value(build: Build, labels: Tensor, numbers: Tensor, loss: str, keys: Any) -> None:
    criterion = build(loss, **keys)
    labels[4] = MISSING
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0, 3.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda values: criterion(values, labels, weights, numbers.double()), logits)


@every_case
@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.floats(-8, 8), min_size=4, max_size=4), label=st.sampled_from([0, 1, 3]))
def test_raising_the_labels_logit_never_raises_the_loss(
    build: Build, loss: str, keys: Any, values: list[float], label: int
) -> None:
    logits = torch.tensor([values], dtype=torch.float64, requires_grad=True)
    value = build(loss, **{**keys, **({"smoothing": 0.0} if "smoothing" in keys else {})})
    if loss == "sum":
        value = build("sum")
    value(logits, torch.tensor([label])).backward()
    assert logits.grad is not None
    assert logits.grad[0, label] <= 1e-12


@every_loss
def test_has_no_state_to_save(build: Build, loss: str) -> None:
    criterion = build(loss).loss
    assert criterion.state_dict() == {}
    assert list(criterion.parameters()) == []


# --- class weights that come late ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [name for name in LOSSES if keys_of(name, "inverse_frequency", 0.0, 0.6)])
def test_deferred_weights_count_once_their_share_of_the_epochs_is_over(
    build: Build, logits_of: Build, labels: Tensor, numbers: Tensor, loss: str
) -> None:
    def weights(name: str, deferred: float = 0.0) -> dict[str, Any]:
        keys = keys_of(loss, name, 0.0, deferred)
        assert keys is not None
        return keys

    late = build(loss, **weights("inverse_frequency", 0.6))
    even, full = build(loss, **weights("none")), build(loss, **weights("inverse_frequency"))
    early, now = even(logits_of(), labels, numbers=numbers), full(logits_of(), labels, numbers=numbers)
    assert abs(early - now) > 1e-3
    # In no particular order: what counts is the epoch's number, so a resumed run does what an unbroken one does.
    for epoch in (7, 1, 6, 10, 3):
        late.loss.begin_epoch(epoch, 10)
        assert late(logits_of(), labels, numbers=numbers) == (now if epoch > 6 else early)
    late.loss.begin_epoch(1, 1)
    assert late(logits_of(), labels, numbers=numbers) == now, "the last epoch has them, however few there are"


def test_deferred_without_weights_is_refused() -> None:
    with pytest.raises(UserError, match=r"deferred: 0\.5 would be ignored, since class_weights is none"):
        validate(LOSSES["ldam"], {"deferred": 0.5})
    with pytest.raises(UserError, match=r"^deferred: input should be less than 1"):
        validate(LOSSES["ldam"], {"deferred": 1.0, "class_weights": "effective_number"})


# --- what the answers contain -------------------------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("counts", [(50.0, 10.0, 0.0, 3.0), (0.0, 0.0, 0.0, 0.0)])
def test_implied_prior_is_finite_and_sums_to_1(chosen: Build, loss: str, keys: Any, counts: tuple[float, ...]) -> None:
    prior = chosen(loss, **keys).implied_log_prior(np.array(counts))
    assert prior.shape == (4,)
    assert np.isfinite(prior).all()
    assert np.exp(prior).sum() == pytest.approx(1.0)


SEEN = np.array([80.0, 15.0, 5.0])
EVEN = np.log(np.full(3, 1 / 3))


@pytest.mark.parametrize(
    ("loss", "keys", "expected"),
    [
        ("cross_entropy", {}, np.log(SEEN / 100)),
        ("cross_entropy", {"class_weights": "inverse_frequency"}, EVEN),
        ("cross_entropy", {"smoothing": 0.3}, np.log(0.7 * SEEN / 100 + 0.1)),
        (
            "focal",
            {"class_weights": {"name": "inverse_frequency", "power": 0.5}},
            np.log(SEEN**0.5 / (SEEN**0.5).sum()),
        ),
        ("class_balanced_focal", {"beta": 0.0}, np.log(SEEN / 100)),
        ("logit_adjusted", {}, EVEN),
        ("logit_adjusted", {"tau": 0.0}, np.log(SEEN / 100)),
        ("logit_adjusted", {"tau": 0.5}, np.log(SEEN**0.5 / (SEEN**0.5).sum())),
        ("ldam", {"class_weights": "inverse_frequency", "deferred": 0.8}, EVEN),
        ("soft_macro_f1", {}, EVEN),
        ("sum", {"second": "logit_adjusted"}, np.log(SEEN**0.5 / (SEEN**0.5).sum())),
        ("sum", {"second": "soft_macro_f1", "second_weight": 0.0}, np.log(SEEN / 100)),
    ],
)
def test_implied_prior_by_hand(chosen: Build, loss: str, keys: Any, expected: Any) -> None:
    np.testing.assert_allclose(chosen(loss, **keys).implied_log_prior(SEEN), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "keys"),
    [
        ("cross_entropy", {"class_weights": "inverse_frequency"}),
        ("cross_entropy", {"class_weights": {"name": "inverse_frequency", "power": 0.5}, "smoothing": 0.2}),
        ("logit_adjusted", {"tau": 0.7}),
        ("logit_adjusted", {"class_weights": {"name": "explicit", "values": [1.0, 3.0, 2.0]}}),
    ],
)
def test_a_head_that_sees_nothing_of_the_picture_answers_the_implied_prior(
    build: Build, chosen: Build, loss: str, keys: Any
) -> None:
    """Where the loss is least for answers that are the same for every picture, they are the prior."""
    criterion = build(loss, counts=SEEN, **keys)
    logits = torch.tensor(chosen(loss, **keys).implied_log_prior(SEEN)).requires_grad_()
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(SEEN.astype(int)))
    criterion(logits.expand(100, 3), labels).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6


# --- of the classes as a whole --------------------------------------------------------------------------------------


def test_a_joint_loss_is_that_of_the_classes_that_can_occur(chosen: Build) -> None:
    possible = np.array([True, False, True, True])
    data = TrainingLabels(Task("joint", ("a", "c", "d")), np.array([3.0, 1.0, 2.0]), np.full(3, np.nan))
    loss = chosen("cross_entropy", smoothing=0.1).build(data)
    joint = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    joint[:, 1] = -torch.inf
    joint = joint.log_softmax(1).requires_grad_()
    unknown = torch.full((4,), torch.nan)
    found = JointLoss(loss, possible)(joint, torch.tensor([0, 2, MISSING, 3]), torch.ones(4), unknown)
    expected = F.cross_entropy(
        joint[:, [0, 2, 3]], torch.tensor([0, 1, -100, 2]), label_smoothing=0.1, ignore_index=-100
    )
    torch.testing.assert_close(found, expected)
    found.backward()
    assert joint.grad is not None
    assert torch.isfinite(joint.grad).all()


@pytest.mark.parametrize("loss", [name for name, row in LOSSES.items() if not row.needs_order])  # type: ignore[attr-defined]
def test_every_loss_without_order_can_be_joint(chosen: Build, loss: str) -> None:
    possible = np.array([True, False, True, True])
    data = TrainingLabels(Task("joint", ("a", "c", "d")), np.array([3.0, 1.0, 2.0]), np.full(3, np.nan))
    joint = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    joint[:, 1] = -torch.inf
    joint = joint.requires_grad_()
    criterion = JointLoss(chosen(loss).build(data), possible)
    criterion.begin_epoch(1, 2)
    value = criterion(
        joint.log_softmax(1), torch.tensor([0, 2, MISSING, 3]), torch.ones(4), torch.full((4,), torch.nan)
    )
    value.backward()
    assert value > 0
    assert joint.grad is not None
    assert torch.isfinite(joint.grad[[0, 1, 3]][:, [0, 2, 3]]).all()
    assert (joint.grad[2] == 0).all()
