"""Adam for the few numbers that a balancer adapts by itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Adam(nn.Module):
    """Kingma and Ba 2015, algorithm 1, https://arxiv.org/abs/1412.6980, with its state in buffers.

    lr m / (sqrt(v) + 1e-8) is to be subtracted, with m = m_t / (1 - 0.9 ** t) and v = v_t / (1 - 0.999 ** t),
    m_t = 0.9 m_(t-1) + 0.1 g, v_t = 0.999 v_(t-1) + 0.001 g ** 2, g (size,) the gradient at step t, from 1.

    ``torch.optim.Adam`` refers to the very tensors it was given, which a module moved to another device replaces.

    Args:
        size: of the vector that is optimised.
        lr: the learning rate.

    >>> adam = Adam(2, lr=0.1)
    >>> adam(torch.tensor([3.0, -0.2]))
    tensor([ 0.1000, -0.1000])
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
        """(size,) the step to be subtracted, given the gradient (size,)."""
        self.count += 1
        self.mean.lerp_(gradient, 0.1)
        self.square.lerp_(gradient**2, 0.001)
        mean = self.mean / (1 - 0.9**self.count)
        square = self.square / (1 - 0.999**self.count)
        return self.lr * mean / (square.sqrt() + 1e-8)
