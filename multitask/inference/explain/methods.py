"""Ways to read evidence from a forward pass: what a method is, and the evidence of several put together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multitask.inference.explain.trunk import Trunk


class Method(ABC):
    """A way to read where the evidence for a label lies."""

    name: ClassVar[str]

    @abstractmethod
    def fits(self, trunk: Trunk, head: nn.Module | None) -> bool:
        """Whether it is the way to read this trunk for this head; None: for what is made of several heads."""

    @abstractmethod
    def evidence(self, trunk: Trunk, head: nn.Module | None, score: Tensor) -> Tensor:
        """The evidence for the decided labels.

        Args:
            trunk: that the head reads.
            head: as of ``fits``.
            score: (B,) log-odds of the decided labels, with a graph, of which a gradient is taken once more.

        Returns:
            (B, h, w), greater where more speaks for the label, below 0 where something speaks against it.
        """


def log_odds(log_probs: Tensor, labels: Tensor) -> Tensor:
    """log p_y - log(1 - p_y) of the labels y.

    Its gradient is that of z_y less that of the other labels' logits, each by its share of what y leaves. Unlike that
    of log p_y it does not vanish where the network is sure.

    Args:
        log_probs: (B, C).
        labels: (B,) indices.

    Returns:
        (B,)
    """
    rows = labels[:, None]
    others = log_probs.scatter(1, rows, -torch.inf).logsumexp(dim=1)
    return log_probs.gather(1, rows)[:, 0] - others


def gradient(score: Tensor, of: Tensor) -> Tensor:
    """The gradient of the images' scores; 0 where they do not depend on it, or not finitely."""
    (found,) = torch.autograd.grad(score.sum(), [of], retain_graph=True, allow_unused=True)
    return torch.zeros_like(of) if found is None else found.nan_to_num(0.0, 0.0, 0.0)


def to_heat(evidence: Tensor, size: tuple[int, int]) -> Tensor:
    """Evidence as heat over the network's input.

    Args:
        evidence: (B, h, w); what is below 0 counts as nothing.
        size: H and W.

    Returns:
        (B, H, W) in [0, 1], each map's greatest 1; 0 everywhere where nothing is above 0.
    """
    scaled = F.interpolate(evidence.detach().float().clamp(min=0)[:, None], size, mode="bilinear")[:, 0]
    most = scaled.amax(dim=(1, 2), keepdim=True)
    return scaled / most.where(most > 0, 1.0)
