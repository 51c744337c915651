"""Mixup and CutMix for several heads: pixels, shares, and the joint target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.data.augment_settings import MixSettings
from multitask.data.mixup import BatchTargets, draw_mixture, mix
from multitask.labels import LabelSpace, Task
from multitask.losses import LOSSES
from multitask.losses.task_losses import ClasswiseLoss
from multitask.losses.training_labels import TrainingLabels

SPACE = LabelSpace([Task("a", ("0", "1", "2")), Task("b", ("0", "1"))])


def targets_of(labels: torch.Tensor, weights: torch.Tensor, *mixed: Any) -> BatchTargets:
    return BatchTargets(labels, weights, labels * 10.0, *mixed)


def batch(size: int = 6, height: int = 12, width: int = 10) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images of one value each, so that a pixel tells whose it is."""
    images = torch.arange(1.0, size + 1).view(-1, 1, 1, 1).expand(-1, 3, height, width).clone()
    labels = torch.tensor([[n % 3, n % 2] for n in range(size)])
    return images, labels, torch.arange(1.0, size + 1)


CASES = {
    "mixup": MixSettings(mixup_prob=1.0, mixup_alpha=1.0),
    "cutmix": MixSettings(cutmix_prob=1.0),
    "vertical": MixSettings(cutmix_prob=1.0, cutmix_vertical=True),
}


@pytest.mark.parametrize("case", CASES)
@given(seed=st.integers(0, 2**31 - 1))
@settings(deadline=None, max_examples=40)
def test_lam_is_the_share_of_an_images_own_pixels(case: str, seed: int) -> None:
    images, labels, weights = batch()
    mixed, targets = mix(images, targets_of(labels, weights), CASES[case], seed)
    assert targets.partner is not None
    assert 0 <= targets.lam <= 1
    expected = targets.lam * images.mean((1, 2, 3)) + (1 - targets.lam) * images[targets.partner].mean((1, 2, 3))
    torch.testing.assert_close(mixed.mean((1, 2, 3)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rows", [slice(0, 2), slice(2, 6)])
def test_some_rows_are_mixed_as_in_the_whole_batch(case: str, rows: slice) -> None:
    images, labels, weights = batch()
    for seed in range(8):
        mixed, targets = mix(images, targets_of(labels, weights), CASES[case], seed)
        mixture = draw_mixture(len(images), images.shape[2:], CASES[case], seed, images.device)
        assert mixture is not None
        part = mixture.images(images[rows], images[mixture.partner[rows]], slice(None))
        assert torch.equal(part, mixed[rows])
        assert mixture.targets(targets_of(labels, weights)).lam == targets.lam


@given(seed=st.integers(0, 2**31 - 1))
@settings(deadline=None, max_examples=40)
def test_vertical_cutmix_pastes_a_band_of_full_height_at_one_side(seed: int) -> None:
    images, labels, weights = batch()
    mixed, _ = mix(images, targets_of(labels, weights), CASES["vertical"], seed)
    for image, own in zip(mixed[:, 0], images[:, 0], strict=True):
        pasted = (image != own).numpy()
        columns = pasted.any(axis=0)
        assert (pasted == columns[None]).all()
        assert not columns.any() or columns[0] or columns[-1]
        assert np.abs(np.diff(columns.astype(int))).sum() <= 1


def test_what_is_mixed_in_is_the_partners() -> None:
    images, labels, weights = batch()
    _, targets = mix(images, targets_of(labels, weights), CASES["cutmix"], 3)
    assert targets.partner is not None
    (own, first), (rest, second) = targets.sides()
    assert own + rest == pytest.approx(1)
    torch.testing.assert_close(first.labels, labels)
    torch.testing.assert_close(second.labels, labels[targets.partner])
    torch.testing.assert_close(first.weights, weights)
    torch.testing.assert_close(second.weights, weights[targets.partner])
    torch.testing.assert_close(first.numbers, labels * 10.0)
    torch.testing.assert_close(second.numbers, labels[targets.partner] * 10.0)
    assert sorted(targets.partner.tolist()) == list(range(6))


def test_the_joint_target_has_two_cells_not_the_product_of_the_marginals() -> None:
    """The loss of one head over all cells: -(lam log p(cell a) + (1 - lam) log p(cell b)), and nothing else."""
    labels = torch.tensor([[0, 0], [1, 1]])
    targets = targets_of(labels, torch.ones(2), torch.tensor([1, 0]), 0.7)
    joint = torch.zeros(2, SPACE.num_classes)
    for share, side in targets.sides():
        joint += share * F.one_hot(torch.from_numpy(SPACE.encode(side.labels.numpy())), SPACE.num_classes)
    expected = torch.zeros(2, 6)
    expected[0, 0], expected[0, 3] = 0.7, 0.3  # (0, 0) and (1, 1); none on (0, 1) and (1, 0)
    expected[1, 3], expected[1, 0] = 0.7, 0.3
    torch.testing.assert_close(joint, expected)
    # Its marginals are the heads' targets, so that heads trained apart see the same mixture.
    for column, name in enumerate(SPACE.task_names):
        marginal = sum(
            share * F.one_hot(side.labels[:, column], SPACE.sizes[column]).float() for share, side in targets.sides()
        )
        torch.testing.assert_close(SPACE.marginal_probs(expected)[name], marginal)


# soft_macro_f1 is a score of the batch, of which each side has its own.
OF_EACH_IMAGE = [
    name
    for name, row in LOSSES.items()
    if not row.needs_numbers and name not in ("soft_macro_f1", "sum")  # type: ignore[attr-defined]
]


@pytest.mark.parametrize("name", OF_EACH_IMAGE)
def test_weighing_each_sides_loss_is_the_loss_of_the_two_cells(name: str) -> None:
    """What the loop adds up, for one head over the product: per class the loss, times the joint target."""
    ones = np.ones(SPACE.num_classes)
    data = TrainingLabels(SPACE.flattened().tasks[0], ones, ones)
    loss = LOSSES[name]().build(data)  # type: ignore[attr-defined]
    assert isinstance(loss, ClasswiseLoss)
    _, labels, _ = batch()
    targets = targets_of(labels, torch.ones(6), torch.tensor([1, 2, 3, 4, 5, 0]), 0.3)
    logits = torch.randn(6, SPACE.num_classes, generator=torch.Generator().manual_seed(0)).log_softmax(1)
    found = torch.zeros(())
    joint = torch.zeros(6, SPACE.num_classes)
    for share, side in targets.sides():
        cells = torch.from_numpy(SPACE.encode(side.labels.numpy()))
        found = found + share * loss(logits, cells, side.weights, torch.full((6,), torch.nan))
        joint[torch.arange(6), cells] += share
    expected = (joint * loss.weighted(logits.log_softmax(1))).sum(1).mean()
    torch.testing.assert_close(found, expected)
    if name == "cross_entropy":
        torch.testing.assert_close(found, F.cross_entropy(logits, joint))


@pytest.mark.parametrize("prob", [0.0, 0.25, 1.0])
def test_probability(prob: float) -> None:
    images, labels, weights = batch()
    chosen = MixSettings(mixup_prob=prob / 2, cutmix_prob=prob / 2)
    mixed = [mix(images, targets_of(labels, weights), chosen, seed)[1].partner is not None for seed in range(400)]
    assert np.mean(mixed) == pytest.approx(prob, abs=0.08 if 0 < prob < 1 else 0)


def test_probability_0_is_the_batch_itself() -> None:
    images, labels, weights = batch()
    same, targets = mix(images, targets_of(labels, weights), MixSettings(), 1)
    assert same is images
    assert targets.partner is None
    assert [share for share, _ in targets.sides()] == [1.0]


def test_the_same_seed_mixes_alike_and_the_input_is_kept() -> None:
    images, labels, weights = batch()
    before = images.clone()
    for chosen in CASES.values():
        torch.testing.assert_close(
            mix(images, targets_of(labels, weights), chosen, 7)[0],
            mix(images, targets_of(labels, weights), chosen, 7)[0],
            rtol=0,
            atol=0,
        )
    torch.testing.assert_close(images, before, rtol=0, atol=0)
