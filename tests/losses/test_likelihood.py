from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.losses import CLASS_WEIGHTS, LOSSES
from multitask.settings import validate

Build = Callable[..., Any]
WEIGHTS: dict[str, Any] = {name: {"name": name} for name in CLASS_WEIGHTS}
WEIGHTS["explicit"]["values"] = [1.0, 2.0, 0.5, 4.0]
every_weights = pytest.mark.parametrize("class_weights", WEIGHTS.values(), ids=WEIGHTS)
PROBS = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.2, 0.5, 0.2, 0.1]])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@every_weights
def test_cross_entropy_is_that_of_torch(
    build: Build, logits_of: Build, labels: Tensor, class_weights: Any, smoothing: float
) -> None:
    criterion = build("cross_entropy", class_weights=class_weights, smoothing=smoothing)
    logits = logits_of()
    expected = F.cross_entropy(logits, labels, weight=criterion.weights, label_smoothing=smoothing, reduction="none")
    assert torch.allclose(criterion.per_sample(logits, labels), expected, atol=1e-6)


def test_unweighted_cross_entropy_is_the_mean_of_torch(build: Build, logits_of: Build, labels: Tensor) -> None:
    logits = logits_of()
    labels[2] = MISSING
    expected = F.cross_entropy(logits, labels, ignore_index=MISSING)
    assert torch.allclose(build("cross_entropy")(logits, labels), expected)


def test_focal_by_hand(build: Build) -> None:
    found = build("focal", gamma=2.0).per_sample(PROBS.log(), torch.tensor([0, 3]))
    expected = [0.3**2 * -math.log(0.7), 0.9**2 * -math.log(0.1)]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    weighted = build("focal", class_weights=WEIGHTS["explicit"], gamma=0.5)
    found = weighted.per_sample(PROBS.log(), torch.tensor([0, 3]))
    scale = 63 / (50 * 1 + 10 * 2 + 3 * 4)
    expected = [scale * 1 * 0.3**0.5 * -math.log(0.7), scale * 4 * 0.9**0.5 * -math.log(0.1)]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_focal_of_two_classes_is_torchvisions_sigmoid_focal(build: Build) -> None:
    from torchvision.ops import sigmoid_focal_loss

    logits = torch.tensor([[-1.5], [0.3], [4.0]])
    labels = torch.tensor([1, 0, 1])
    pair = torch.cat([torch.zeros_like(logits), logits], dim=1)
    expected = sigmoid_focal_loss(logits[:, 0], labels.float(), alpha=-1, gamma=1.7)
    found = build("focal", counts=(1, 1), gamma=1.7).per_sample(pair, labels)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@every_weights
@pytest.mark.parametrize(("loss", "key"), [("focal", "gamma"), ("poly1", "epsilon")])
def test_at_0_it_is_cross_entropy(
    build: Build, logits_of: Build, labels: Tensor, loss: str, key: str, class_weights: Any, smoothing: float
) -> None:
    shared = {"class_weights": class_weights, "smoothing": smoothing}
    found = build(loss, **shared, **{key: 0.0})(logits_of(), labels)
    assert torch.allclose(found, build("cross_entropy", **shared)(logits_of(), labels))


def test_focal_gives_easy_samples_less_say(build: Build) -> None:
    easy, hard = torch.tensor([[4.0, 0, 0, 0]]), torch.tensor([[-2.0, 0, 0, 0]])
    label = torch.tensor([0])
    losses = [build("focal", gamma=gamma) for gamma in (0.0, 1.0, 2.0, 5.0)]
    shares = [float(loss.per_sample(easy, label) / loss.per_sample(hard, label)) for loss in losses]
    assert shares == sorted(shares, reverse=True)


def test_class_balanced_focal_is_focal_with_the_weights_of_the_effective_number(
    build: Build, logits_of: Build, labels: Tensor
) -> None:
    found = build("class_balanced_focal", gamma=1.5, beta=0.9, smoothing=0.1)
    weights = {"name": "effective_number", "beta": 0.9}
    same = build("focal", gamma=1.5, class_weights=weights, smoothing=0.1)
    assert found(logits_of(), labels) == same(logits_of(), labels)
    raw = [0.1 / (1 - 0.9**n) for n in (50, 10, 1, 3)]
    mean = (50 * raw[0] + 10 * raw[1] + 3 * raw[3]) / 63
    each = build("class_balanced_focal", gamma=2.0, beta=0.9).per_sample(PROBS.log(), torch.tensor([0, 3]))
    expected = [raw[0] / mean * 0.09 * -math.log(0.7), raw[3] / mean * 0.81 * -math.log(0.1)]
    assert each.tolist() == pytest.approx(expected, rel=1e-5)


def test_poly1_by_hand(build: Build) -> None:
    found = build("poly1", epsilon=2.0).per_sample(PROBS.log(), torch.tensor([0, 3]))
    assert found.tolist() == pytest.approx([-math.log(0.7) + 2 * 0.3, -math.log(0.1) + 2 * 0.9], rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "keys", "message"),
    [
        ("cross_entropy", {"smoothing": 1.0}, "^smoothing: "),
        ("focal", {"gamma": -1.0}, "^gamma: "),
        ("poly1", {"epsilon": -1.5}, "^epsilon: input should be greater than or equal to -1"),
        ("generalised_cross_entropy", {"q": 0.0}, "^q: input should be greater than 0"),
        ("generalised_cross_entropy", {"q": 1.5}, "^q: input should be less than or equal to 1"),
        ("symmetric_cross_entropy", {"log_zero": 0.0}, "^log_zero: input should be less than 0"),
        ("symmetric_cross_entropy", {"alpha": 0.0, "beta": 0.0}, "alpha and beta must not both be 0"),
        ("logit_adjusted", {"tau": -1.0}, "^tau: "),
        ("ldam", {"scale": 0.0}, "^scale: "),
        ("soft_labels", {"width": 0.0}, "^width: input should be greater than 0"),
        ("soft_labels", {"kind": "gausian"}, "^kind: input should be 'gaussian' or 'sord'"),
        ("sum", {"first": "sum"}, "^first.name: unknown name 'sum'"),
        ("sum", {"first": "focall"}, "^first.name: unknown name 'focall'; did you mean 'focal'"),
        ("sum", {"second_weight": -1.0}, "^second_weight: "),
    ],
)
def test_impossible_settings_are_refused(loss: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(LOSSES[loss], keys)
