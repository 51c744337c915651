"""The exponential average of a network's weights, and what of it is no average."""

from __future__ import annotations

import torch
from torch import nn

from multitask.training.ema import WeightEMA
from multitask.training.settings import EMASettings


def test_bounds_at_infinity_stay_what_they_are() -> None:
    network = nn.Linear(2, 2)
    network.register_buffer("upper", torch.tensor([torch.inf, 1.0]))  # as of what Gemma's ViT clips to
    network.register_buffer("mean", torch.zeros(1))
    average = WeightEMA(network, EMASettings(decay=0.5, warmup=False))
    with torch.no_grad():
        network.weight.fill_(1.0)
        average.module.weight.fill_(0.0)
        network.mean.fill_(2.0)  # type: ignore[operator]
    average.update(network, step=2)  # the first takes the weights as they are
    assert torch.equal(average.module.upper, network.upper)
    assert torch.equal(average.module.weight, torch.full((2, 2), 0.5))
    assert float(average.module.mean) == 1.0
