from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from multitask.balancers.base import Step
from multitask.progress import ConflictSteps
from multitask.training.gradient_conflict import NUM_BATCHES, Conflict
from multitask.utils.records import to_data

ROWS = {"a": (1.0, 0.0), "b": (-2.0, 0.0), "c": (3.0, 3.0)}


def batch(**rows: tuple[float, float]) -> tuple[dict[str, Tensor], Step]:
    features = torch.zeros(1, 2, requires_grad=True) * 1.0  # a part of the graph, no leaf
    losses = {name: (features[0] * torch.tensor(row)).sum() for name, row in rows.items()}
    return losses, Step(lambda scalar: 2.0**-20 * scalar, features)


def test_cosines_by_hand() -> None:
    conflict = Conflict(1)
    conflict.look(0, *batch(**ROWS))
    found = conflict.record()[0]
    assert found == {
        "a": {"b": pytest.approx(-1), "c": pytest.approx(0.5**0.5)},
        "b": {"c": pytest.approx(-(0.5**0.5))},
    }


def test_epochs_cosine_is_the_mean_over_the_batches_that_tell() -> None:
    conflict = Conflict(3)
    for number, row in enumerate([(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]):  # the last as if no label were known
        conflict.look(number, *batch(a=(1.0, 0.0), b=row))
    assert conflict.record()[0] == {"a": {"b": pytest.approx(0.5)}}


def test_spread_over_the_batches_that_tell_is_recorded() -> None:
    conflict = Conflict(4)
    for number, row in enumerate([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, 0.0)]):
        conflict.look(number, *batch(a=(1.0, 0.0), b=row))
    assert to_data(conflict.record()[1]) == {"a": {"b": {"num": 3, "sd": pytest.approx(1.0)}}}
    once = Conflict(1)
    once.look(0, *batch(a=(1.0, 0.0), b=(1.0, 1.0)))
    assert once.record()[1] == {"a": {"b": ConflictSteps(num=1, sd=None)}}


def test_pair_that_no_batch_tells_of_has_none() -> None:
    conflict = Conflict(1)
    conflict.look(0, *batch(a=(1.0, 0.0), b=(0.0, 0.0), c=(1.0, 0.0)))
    assert conflict.record()[0] == {"a": {"b": None, "c": pytest.approx(1)}, "b": {"c": None}}


def test_losses_that_no_image_has_both_labels_of_say_nothing_of_each_other() -> None:
    features = torch.zeros(3, 2, requires_grad=True) * 1.0
    weights = {"a": [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]], "b": [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]}
    weights["c"] = [[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]  # of the first image, orthogonal to a
    losses = {name: (features * torch.tensor(row)).sum() for name, row in weights.items()}
    conflict = Conflict(1)
    conflict.look(0, losses, Step(lambda scalar: scalar, features))
    assert conflict.record()[0] == {"a": {"b": None, "c": 0.0}, "b": {"c": None}}
    apart = Conflict(1)  # of two processes, each with a part of the batch: what the other's images tell is added
    apart.look(0, losses, Step(lambda scalar: scalar, features, over_ranks=lambda part: part + torch.ones_like(part)))
    assert apart.record()[0]["a"]["b"] is not None


def test_nothing_shared_or_one_loss_gives_none() -> None:
    conflict = Conflict(2)
    losses, _ = batch(**ROWS)
    conflict.look(0, losses, Step(lambda scalar: scalar))
    conflict.look(1, *batch(a=(1.0, 0.0)))
    assert conflict.record() == (None, None)


def test_looks_are_few_and_evenly_spread() -> None:
    for num in (1, 3, 8, 9, 100, 1000):
        places = sorted(Conflict(num).looked_at)
        assert len(places) == min(num, NUM_BATCHES)
        assert places[0] >= 0
        assert places[-1] < num
        gaps = [after - before for before, after in pairwise(places)]
        assert max(gaps, default=0) - min(gaps, default=0) <= 1
        assert abs(places[0] - (num - 1 - places[-1])) <= 1
    conflict = Conflict(100)
    for number in set(range(100)) - conflict.looked_at:
        conflict.look(number, *batch(**ROWS))
    assert conflict.record() == (None, None)


def test_looking_leaves_gradients_and_graph_as_they_were() -> None:
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    features = (weight * 2)[None]
    losses = {"a": features.sum(), "b": features.prod()}
    conflict = Conflict(1)
    conflict.look(0, losses, Step(lambda scalar: scalar, features))
    assert weight.grad is None
    (losses["a"] + losses["b"]).backward()
    assert weight.grad.tolist() == [2 + 2 * 4, 2 + 2 * 2]
    assert not math.isnan(conflict.record()[0]["a"]["b"])
