"""The mean of the weights after each of the last epochs."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from multitask.training.sharded_tensors import dealt, like, local


class WeightMean:
    """A network whose weights are the uniform mean of those after the last k epochs (Izmailov et al. 2018).

    Statistics of batch norm are averaged like weights, which costs no pass over the training images; counters are the
    last epoch's.

    Args:
        network: that is averaged; it stays as it is.
        num_epochs: k.
        fixed: the names of what training cannot change.

    Attributes:
        module: the mean so far.
    """

    def __init__(self, network: nn.Module, num_epochs: int, fixed: Collection[str] = ()) -> None:
        self.module = copy.deepcopy(network)
        self._num_epochs = num_epochs
        self._fixed = frozenset(fixed)
        self._epochs: list[dict[str, Tensor]] = []

    def add(self, network: nn.Module) -> None:
        """Takes up the weights after an epoch."""
        state = {name: value for name, value in network.state_dict().items() if name not in self._fixed}
        # On the CPU: k copies of a large network have no room beside its training on a GPU.
        self._epochs.append({name: local(value.detach()).cpu().clone() for name, value in state.items()})
        del self._epochs[: -self._num_epochs]
        self._average()

    def _average(self) -> None:
        own = self.module.state_dict()
        for name, last in self._epochs[-1].items():
            if last.is_floating_point():
                total = torch.stack([epoch[name].double() for epoch in self._epochs]).mean(dim=0)
                local(own[name]).copy_(total)
            else:
                own[name].copy_(last)

    def state(self) -> list[dict[str, Tensor]]:
        """The weights after each of the last epochs, to be resumed from."""
        own = self.module.state_dict()
        return [{name: like(value, own[name]) for name, value in epoch.items()} for epoch in self._epochs]

    def load(self, found: Sequence[Mapping[str, Tensor]]) -> None:
        """Takes up what ``state`` gave.

        Raises:
            ValueError: it is of no epoch, or of more than are averaged.
        """
        if not 0 < len(found) <= self._num_epochs:
            raise ValueError(f"it has the weights of {len(found)} epochs, where {self._num_epochs} are averaged")
        own = self.module.state_dict()
        self._epochs = [
            {name: local(dealt(value, own[name])).cpu() for name, value in epoch.items()} for epoch in found
        ]
        self._average()
