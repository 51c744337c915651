"""An epoch's losses: over the samples that have a label, wherever they are."""

from __future__ import annotations

import math

import pytest
import torch

from multitask.training.loss_meter import LossMeter

NAMES = ("colour", "type")


def epoch(*batches: tuple[float, float, float, float, int], weights: dict[str, float] | None = None) -> LossMeter:
    """Of batches: both losses, the weight of those who have each label, and how many images there are."""
    weights = weights or {}
    means = LossMeter(NAMES, torch.device("cpu"))
    for one, other, labelled, other_labelled, num in batches:
        losses = {"colour": torch.tensor(one), "type": torch.tensor(other)}
        total = sum((weights.get(name, 1.0) * loss for name, loss in losses.items()), start=torch.tensor(0.0))
        means.add(total, losses, torch.tensor([labelled, other_labelled]), num)
    return means


def test_batches_without_a_label_are_no_part_of_the_mean() -> None:
    means = epoch((0.5, 2.0, 4, 4, 4), (0.0, 1.0, 0, 4, 4), (1.0, 1.0, 1, 4, 4))
    assert means.heads() == pytest.approx({"colour": (4 * 0.5 + 1.0) / 5, "type": 4 / 3})


def test_each_batch_counts_by_the_weight_of_its_labelled_samples() -> None:
    assert epoch((1.0, 1.0, 0.5, 1, 4), (3.0, 1.0, 1.5, 1, 2)).heads()["colour"] == pytest.approx(2.5)


def test_total_is_the_weighted_sum_of_the_means() -> None:
    weights = {"colour": 0.5, "type": 2.0}
    means = epoch((0.5, 2.0, 4, 4, 4), (0.0, 1.0, 0, 4, 4), (1.0, 1.0, 1, 4, 4), weights=weights)
    assert means.total(weights) == pytest.approx(0.5 * 0.6 + 2 * 4 / 3)


def test_where_all_is_labelled_the_total_is_the_mean_of_the_batches_totals_to_the_bit() -> None:
    rows = [(0.1 * i, 0.3 / (i + 1), 7.0 - (i % 2), 7.0 - (i % 2), 7 - i % 2) for i in range(9)]
    totals = [(torch.tensor(one) + torch.tensor(other)) * num for one, other, *_, num in rows]
    expected = sum((total.double() for total in totals), start=torch.zeros((), dtype=torch.float64))
    assert epoch(*rows).total({"colour": 123.0}) == float(expected / sum(row[-1] for row in rows))


def test_a_head_without_any_label_has_no_mean_and_no_part_in_the_total() -> None:
    means = epoch((0.5, 0.0, 4, 0, 4), (1.5, 0.0, 4, 0, 4))
    assert math.isnan(means.heads()["type"])
    assert means.total({}) == pytest.approx(1.0)
    assert means.heads()["colour"] == pytest.approx(1.0)
