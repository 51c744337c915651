from __future__ import annotations

import pytest
import torch
from torch import nn

from multitask.training.weight_mean import WeightMean


def network(value: float) -> nn.Module:
    net = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    for tensor in net.state_dict().values():
        tensor.copy_(torch.full_like(tensor, value))
    return net


def test_the_mean_is_of_the_last_epochs_and_counters_are_the_last_ones() -> None:
    mean = WeightMean(network(0.0), 2)
    for value in (100.0, 3.0, 4.0):
        mean.add(network(value))
    state = mean.module.state_dict()
    assert state["0.weight"].item() == 3.5
    assert state["1.running_var"].item() == 3.5
    assert state["1.num_batches_tracked"].item() == 4


def test_what_cannot_change_is_left_alone() -> None:
    mean = WeightMean(network(7.0), 2, {"0.weight"})
    mean.add(network(1.0))
    assert mean.module.state_dict()["0.weight"].item() == 7.0
    assert "0.weight" not in mean.state()[0]


def test_it_goes_on_from_its_state() -> None:
    one, other = WeightMean(network(0.0), 2), WeightMean(network(0.0), 2)
    one.add(network(1.0))
    other.load(one.state())
    for mean in (one, other):
        mean.add(network(4.0))
        assert mean.module.state_dict()["0.weight"].item() == 2.5


@pytest.mark.parametrize("count", [0, 3])
def test_a_state_of_another_number_of_epochs_is_refused(count: int) -> None:
    mean = WeightMean(network(0.0), 2)
    with pytest.raises(ValueError, match=f"the weights of {count} epochs, where 2 are averaged"):
        mean.load([dict(network(0.0).state_dict())] * count)
