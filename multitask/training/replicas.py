"""The weights of a training in its processes: whole in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from multitask.training.distributed import sum_gradients
from multitask.utils.ranks import ranks

if TYPE_CHECKING:
    from multitask.training.ema import WeightEMA


class Replicas:
    """Every process has all weights, gradients and states of the optimiser; the processes sum their gradients."""

    def __init__(self) -> None:
        self.ranks = ranks()

    def place(self, *networks: nn.Module) -> None:
        """Lays out networks, before an optimiser takes their weights: here they stay as they are."""

    def reduce(self, own: Sequence[Tensor], shared: Sequence[Tensor]) -> None:
        """Makes the gradients of a step those of the whole batch; as of ``sum_gradients``."""
        if self.ranks.size > 1:
            sum_gradients(own, shared, self.ranks)

    def clip(self, own: Sequence[Tensor], shared: Sequence[Tensor], norm: float) -> None:
        """Scales the gradients of both down to a norm, that of all of them, where they are longer."""
        nn.utils.clip_grad_norm_([*own, *shared], norm)

    def average(self, average: WeightEMA, network: nn.Module, update: int) -> None:
        """Takes the weights after a step into their exponential average; ``update`` counts from 1."""
        average.update(network, step=update)

    def anywhere(self, flags: Tensor) -> Tensor:
        """(K,) bool, whether a flag of weights is set in any process; here all have the same."""
        return flags

    def save(self, make: Callable[[], dict[str, Any]], write: Callable[[dict[str, Any]], None]) -> None:
        """Has rank 0 write a state of whole tensors that it makes; to be called by all."""
        if self.ranks.is_main:
            write(make())

    @contextmanager
    def evaluating(self, network: nn.Module) -> Iterator[Callable[[Tensor], Any]]:
        """A network in evaluation mode, to be asked by each process as often as it likes."""
        network.eval()
        with torch.inference_mode():
            yield network
