"""Averaged weights, greedily or all, and batch statistics of the average."""

from __future__ import annotations

import torch
from torch import nn

from multitask.model.soup import estimate_batch_norm, greedy, has_batch_norm, mean_state


def test_weights_and_running_statistics_are_averaged_and_counts_are_not() -> None:
    one, two = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    one.running_mean, two.running_mean = torch.tensor([1.0, 3.0]), torch.tensor([3.0, 5.0])
    two.num_batches_tracked += 7
    nn.init.constant_(two.weight, 2.0)
    found = mean_state([one.state_dict(), two.state_dict()])
    assert found["running_mean"].tolist() == [2.0, 4.0]
    assert found["weight"].tolist() == [1.5, 1.5]
    assert found["num_batches_tracked"].item() == 0


def test_a_greedy_soup_keeps_what_lowers_the_loss_alone() -> None:
    losses = {(1,): 0.5, (1, 0): 0.5, (1, 2): 0.4, (1, 2, 3): 0.45}
    asked = []

    def loss(soup: list[int]) -> float:
        asked.append(tuple(soup))
        return losses[tuple(soup)]

    kept, tried = greedy([1, 0, 2, 3], loss)
    assert kept == [1, 2]  # 0 lowers nothing, 3 makes it worse than 1 and 2
    assert asked == [(1,), (1, 0), (1, 2), (1, 2, 3)]
    assert tried == {1: 0.5, 0: 0.5, 2: 0.4, 3: 0.45}


def test_batch_statistics_are_the_mean_of_all_batches_and_nothing_else_changes() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5)).eval()
    assert has_batch_norm(network)
    assert not has_batch_norm(nn.Linear(2, 2))
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(4, 3, 2, 2, generator=generator) + place for place in range(3)]
    estimate_batch_norm(network, [*batches, torch.full((1, 3, 2, 2), 99.0)])
    norm = network[0]
    assert isinstance(norm, nn.BatchNorm2d)
    expected = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    torch.testing.assert_close(norm.running_mean, expected)
    assert norm.momentum == 0.1
    assert not network.training
    assert not norm.training
