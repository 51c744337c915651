"""Networks of different runs as one: the weighted logarithmic opinion pool of their outputs, or their majority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from multitask.labels import JOINT, LabelSpace

LEAST = -100.0
"""The least log-probability that a member counts with: none of them can exclude a label alone."""


@dataclass(frozen=True)
class OutputForm:
    """The outputs of an ensemble, into which those of each member are brought.

    Attributes:
        learned: the label space of the heads: the tasks', or where all members learn the classes whole, theirs.
        joint: whether the classes have log-probabilities of their own beside the heads'.
    """

    learned: LabelSpace
    joint: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The outputs: the heads, and last ``joint`` where there is one."""
        return (*self.learned.task_names, JOINT) if self.joint else self.learned.task_names

    def of(self, outputs: Mapping[str, Tensor], own: LabelSpace, joint_term: bool) -> dict[str, Tensor]:
        """A member's outputs in this form.

        A network that learns the classes whole has their marginals as heads; one without a joint term has the product
        of its heads as ``joint``.

        Args:
            outputs: per head of the member (B, C_t) logits or log-probabilities; (B, C) ``joint`` likewise.
            own: the label space of its heads, of the same classes.
            joint_term: whether its ``joint`` says more than its heads.

        Returns:
            Per name of ``names``, log-probabilities, in float32 at least.
        """
        known = {name: values if values.dtype == torch.float64 else values.float() for name, values in outputs.items()}
        heads = {name: known[name].log_softmax(dim=1) for name in own.task_names}
        if own == self.learned and not self.joint:
            return heads
        classes = known[JOINT].log_softmax(dim=1) if joint_term else own.joint_log_probs(heads)
        found = heads if own == self.learned else self.learned.marginal_log_probs(classes)
        return {**found, JOINT: classes} if self.joint else found


def log_pool(members: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """softmax(sum_k w_k log p_k), as (B, C) log-probabilities, with p_k (B, C) the probabilities of member k.

    With convex weights it is the distribution q that minimises sum_k w_k KL(q, p_k). Of heads that are independent
    given the image the pool is so too, if the weights of each head are its own; a linear mixture would tie them.
    """
    total = torch.zeros_like(members[0])
    for values, weight in zip(members, weights, strict=True):
        total = total + weight * values.clamp(min=LEAST)
    return total.log_softmax(dim=1)


def majority(members: Sequence[Tensor]) -> Tensor:
    """The members' votes, each for its most probable label, as (B, C) log-probabilities.

    The probability of label c is (v_c + m_c) / (K + 1), with v_c its votes of K and m_c its mean probability. So the
    label with most votes is the most probable, and the mean probability breaks a tie.
    """
    total = torch.zeros_like(members[0])
    for values in members:
        votes = torch.zeros_like(values).scatter(1, values.argmax(dim=1, keepdim=True), 1.0)
        total = total + votes + values.exp() / len(members)
    return (total / (len(members) + 1)).log().clamp(min=LEAST)


def combine(
    members: Sequence[Mapping[str, Tensor]], weights: Mapping[str, Sequence[float]] | None
) -> dict[str, Tensor]:
    """The outputs of an ensemble.

    Args:
        members: the outputs of K of them, in one ``OutputForm``.
        weights: per output (K,), as of ``log_pool``; None: ``majority``.
    """
    found = {}
    for name in members[0]:
        values = [outputs[name] for outputs in members]
        found[name] = majority(values) if weights is None else log_pool(values, weights[name])
    return found


class PoolMember(nn.Module):
    """One network of an ensemble, with its own part of the image and its own normalisation.

    Args:
        network: in evaluation mode; (B, 3, H, W) to its outputs.
        tile: the rows and columns of the images that are its input.
        mean: of each channel, of pixels from 0 to 1.
        std: likewise.
        learned: the label space of its heads.
        joint_term: whether its ``joint`` says more than its heads.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        tile: tuple[slice, slice],
        mean: Sequence[float],
        std: Sequence[float],
        learned: LabelSpace,
        joint_term: bool,
    ) -> None:
        super().__init__()
        self.network = network
        self.learned = learned
        self.joint_term = joint_term
        self._tile = tile
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Its outputs, of (B, 3, H, W) images whose values are from 0 to 1."""
        rows, columns = self._tile
        found: dict[str, Tensor] = self.network((images[:, :, rows, columns] - self.mean) / self.std)
        return found


class OpinionPool(nn.Module):
    """Networks of different runs as one.

    Args:
        members: K of them.
        form: of the outputs.
        weights: as of ``combine``.
    """

    def __init__(
        self, members: Sequence[PoolMember], form: OutputForm, weights: Mapping[str, Sequence[float]] | None
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self._form = form
        self._weights = weights

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Log-probabilities per head, and of the classes: (B, 3, H, W) of values from 0 to 1 to {name: (B, C_t)}."""
        found = []
        for member in self.members:
            assert isinstance(member, PoolMember)
            found.append(self._form.of(member(images), member.learned, member.joint_term))
        return combine(found, self._weights)
