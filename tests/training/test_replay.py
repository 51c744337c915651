from __future__ import annotations

import torch
from torch import nn

from multitask.training.replay import ReplayForward

CPU = torch.device("cpu")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 2))


def test_same_weights_answer_the_same_and_leave_no_trace() -> None:
    net, inputs = network(), torch.randn(8, 4)
    again = ReplayForward(CPU)
    first = net(inputs)
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    drawn = torch.get_rng_state()
    with again(net):
        second = net(inputs)
    assert torch.equal(first, second)
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(torch.equal(value, kept[name]) for name, value in net.state_dict().items())
    assert net[1].track_running_stats  # type: ignore[index]
    net(inputs)
    assert not torch.equal(net[1].running_mean, kept["1.running_mean"])  # type: ignore[index]


def test_norms_that_are_frozen_stay_in_evaluation_mode() -> None:
    net, inputs = network(), torch.randn(8, 4)
    net[1].eval()  # type: ignore[index]
    again = ReplayForward(CPU)
    first = net(inputs)
    with again(net):
        assert torch.equal(first, net(inputs))
