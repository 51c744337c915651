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
from multitask.losses import CLASS_WEIGHTS, LOSSES, LossSettings
from multitask.losses.task_losses import JointLoss
from multitask.losses.training_labels import TrainingLabels
from multitask.settings import validate
from multitask.testing.losses import LOSS_CHECKS, raising_the_labels_logit_never_raises_the_loss

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
@pytest.mark.parametrize("check", LOSS_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(chosen: Build, check: Callable[[LossSettings], None], loss: str, keys: Any) -> None:
    check(chosen(loss, **keys))


@every_case
@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.floats(-8, 8), min_size=4, max_size=4), label=st.sampled_from([0, 1, 3]))
def test_raising_the_labels_logit_never_raises_the_loss(
    chosen: Build, loss: str, keys: Any, values: list[float], label: int
) -> None:
    plain = {} if loss == "sum" else {**keys, **({"smoothing": 0.0} if "smoothing" in keys else {})}
    raising_the_labels_logit_never_raises_the_loss(chosen(loss, **plain), values, label)


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
    np.testing.assert_allclose(chosen(loss, **keys).implied_log_prior(SEEN, SEEN), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "keys"),
    [
        ("cross_entropy", {"class_weights": "inverse_frequency"}),
        ("cross_entropy", {"class_weights": {"name": "inverse_frequency", "power": 0.5}, "smoothing": 0.2}),
        ("logit_adjusted", {"tau": 0.7}),
        ("logit_adjusted", {"class_weights": {"name": "explicit", "values": [1.0, 3.0, 2.0]}}),
    ],
)
@pytest.mark.parametrize("drawn", [SEEN, np.array([20.0, 30.0, 50.0])])
def test_a_head_that_sees_nothing_of_the_image_answers_the_implied_prior(
    build: Build, chosen: Build, loss: str, keys: Any, drawn: Any
) -> None:
    """Where the loss is least for answers that are the same for every image, they are the prior."""
    criterion = build(loss, counts=SEEN, **keys)
    logits = torch.tensor(chosen(loss, **keys).implied_log_prior(SEEN, drawn)).requires_grad_()
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(drawn.astype(int)))
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
