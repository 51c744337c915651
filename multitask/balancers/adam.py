"""Adam for the few numbers that a balancer adapts by itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Adam(nn.Module):
    """Kingma and Ba 2015, algorithm 1, https://arxiv.org/abs/1412.6980, with everything that it remembers as buffers.

    ``torch.optim.Adam`` holds on to the very tensors it was given, which a module moved to another device replaces.

    Args:
        size: how many numbers.
        lr: the step's length.
    """

    mean: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, size: int, lr: float) -> None:
        super().__init__()
        self.lr = lr
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("square", torch.zeros(size))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, gradient: Tensor) -> Tensor:
        """(size,) what is to be taken from the numbers, given their gradient."""
        self.count += 1
        self.mean.lerp_(gradient, 0.1)
        self.square.lerp_(gradient**2, 0.001)
        mean = self.mean / (1 - 0.9**self.count)
        square = self.square / (1 - 0.999**self.count)
        return self.lr * mean / (square.sqrt() + 1e-8)
