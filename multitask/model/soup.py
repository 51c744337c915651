"""Model soups: one network whose weights are the mean of several.

Wortsman et al. 2022, https://arxiv.org/abs/2203.05482; greedy soups are its recipe 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

State = Mapping[str, Tensor]


def mean_state(states: Sequence[State]) -> dict[str, Tensor]:
    """The mean of each weight and buffer; of whole numbers, such as a count of batches, the first's.

    Args:
        states: at least one, with the same names and shapes.
    """
    found = {}
    for name, first in states[0].items():
        if not first.is_floating_point():
            found[name] = first
            continue
        total = sum((state[name].double() for state in states[1:]), start=first.double())
        found[name] = (total / len(states)).to(first.dtype)
    return found


def greedy(order: Sequence[int], loss: Callable[[Sequence[int]], float]) -> tuple[list[int], dict[int, float]]:
    """The ingredients that a greedy soup keeps: each in turn, if the loss with it is below that without.

    Args:
        order: the ingredients, best first.
        loss: of the soup of some of them.

    Returns:
        Those that are kept, and of each the loss of the soup in which it was tried.

    >>> greedy([2, 0, 1], lambda soup: {(2,): 0.5, (2, 0): 0.6, (2, 1): 0.4}[tuple(soup)])
    ([2, 1], {2: 0.5, 0: 0.6, 1: 0.4})
    """
    kept: list[int] = []
    tried: dict[int, float] = {}
    for ingredient in order:
        tried[ingredient] = loss([*kept, ingredient])
        if not kept or tried[ingredient] < min(tried[one] for one in kept):
            kept.append(ingredient)
    return kept, tried


def has_batch_norm(network: nn.Module) -> bool:
    """Whether a network has running statistics of batches."""
    return any(isinstance(module, _BatchNorm) and module.track_running_stats for module in network.modules())


def estimate_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Has a network's batch normalisation take its running statistics anew, each batch counting the same.

    Args:
        network: in evaluation mode, as it is afterwards.
        batches: (B, 3, H, W) input, as in evaluation; those of one image are left out.
    """
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean of all batches
        layer.train()
    try:
        with torch.no_grad():
            for images in batches:
                if len(images) > 1:
                    network(images)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()
