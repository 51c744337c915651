"""Encoders: from images to the features that the heads read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Widths:
    """The widths of a backbone's features.

    Attributes:
        pooled: F.
        map: D, of each place of the last feature map; 0 where the backbone has not one map but several.
    """

    pooled: int
    map: int


@dataclass(frozen=True)
class Encoded:
    """The features of B images that the heads read.

    Attributes:
        pooled: (B, F); of several trunks side by side, (B, the number of trunks times F).
        map: (B, N, D), the N places of the last feature map; None where only pooled features were kept, where there is
            not one map but several, and of several trunks side by side.
        features: the output of the backbone from which ``pooled`` and ``map`` are both made; None where there is no
            map.
        trunks: per task, the features of its own trunk; empty where all tasks read the same.
    """

    pooled: Tensor
    map: Tensor | None = None
    features: Tensor | None = None
    trunks: Mapping[str, Encoded] = field(default_factory=dict)

    @classmethod
    def side_by_side(cls, trunks: Sequence[Encoded], tasks: Sequence[Sequence[str]]) -> Encoded:
        """The features of several trunks, concatenated.

        Args:
            trunks: the features of each.
            tasks: per trunk, the names of the tasks that read it.
        """
        read = {name: trunk for trunk, names in zip(trunks, tasks, strict=True) for name in names}
        return cls(torch.cat([trunk.pooled for trunk in trunks], dim=1), trunks=read)

    def of(self, task: str) -> Encoded:
        """The features that the head of a task reads."""
        return self.trunks.get(task, self)

    def is_close(self, expected: Encoded) -> bool:
        """Whether pooled features and map, where both have one, are others' but for rounding: by 1e-3 of each number
        and 1e-5 of the largest.
        """
        pairs = ((self.pooled, expected.pooled), (self.map, expected.map))
        return all(
            torch.allclose(one, other, rtol=1e-3, atol=1e-5 * float(other.abs().max()))
            for one, other in pairs
            if one is not None and other is not None
        )

    def depends_on(self, parameters: Mapping[str, nn.Parameter]) -> set[str]:
        """The names of the parameters, all of which take a gradient, that one reaches from pooled features and map."""
        total = self.pooled.sum() + (0 if self.map is None else self.map.sum())
        if not total.requires_grad:
            return set()
        found = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
        return {name for name, gradient in zip(parameters, found, strict=True) if gradient is not None}


class ParameterGroup(TypedDict):
    """A group of what an optimiser trains, as torch takes it.

    Attributes:
        params: its parameters.
        weight_decay: theirs.
        lr_scale: theirs in learning rate, by which timm's schedules multiply it.
        param_names: those of a group of one layer.
    """

    params: list[nn.Parameter]
    weight_decay: float
    lr_scale: NotRequired[float]
    param_names: NotRequired[list[str]]


class Encoder(nn.Module):
    """From images to features: one trunk for all tasks, or several.

    Attributes:
        widths: of each trunk.
        num_trunks: 1, or one for each group of tasks.
        frozen: whether nothing in it is trained, so that an image's features never change.
    """

    widths: Widths
    num_trunks: int = 1
    frozen: bool = False

    @abstractmethod
    def forward_features(self, images: Tensor) -> Encoded:
        """The features of (B, 3, H, W) images, normalised, that the heads read."""

    def forward(self, images: Tensor) -> Tensor:
        """Pooled features: (B, 3, H, W), normalised, to (B, F), of several trunks side by side."""
        return self.forward_features(images).pooled

    @property
    def all_widths(self) -> Widths:
        """The widths of all trunks, concatenated."""
        return Widths(self.num_trunks * self.widths.pooled, self.widths.map)

    @abstractmethod
    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> Iterable[ParameterGroup]:
        """Optimiser groups of what is trained; biases and norms are not decayed.

        Args:
            weight_decay: of the other parameters.
            layer_decay: the factor from each layer to the one before it in learning rate, as the groups' ``lr_scale``
                (Clark et al. 2020, ELECTRA; Bao et al. 2022, BEiT). The last has a scale of 1, as heads have, where
                theirs has the factor once: by the same factor every layer learns faster here. None: one rate for all.
        """

    @abstractmethod
    def state_digest(self) -> str:
        """A digest of weights and statistics, whatever file they were loaded from."""


class Trunks(Encoder):
    """Several trunks of one kind, each read by some of the tasks.

    Args:
        trunks: of the same widths.
        tasks: per trunk, the names of the tasks that read it.
    """

    def __init__(self, trunks: Sequence[Encoder], tasks: Sequence[Sequence[str]]) -> None:
        super().__init__()
        self.trunks = nn.ModuleList(trunks)
        self.tasks = tuple(tuple(names) for names in tasks)
        self.widths = trunks[0].widths
        self.num_trunks = len(trunks)
        assert len({trunk.widths for trunk in trunks}) == 1
        assert len(self.tasks) == len(trunks)

    def forward_features(self, images: Tensor) -> Encoded:
        """The features of every trunk, by task and concatenated."""
        return Encoded.side_by_side([trunk.forward_features(images) for trunk in self._each()], self.tasks)

    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> Iterable[ParameterGroup]:
        """The optimiser groups of each trunk."""
        for trunk in self._each():
            yield from trunk.parameter_groups(weight_decay, layer_decay)

    def state_digest(self) -> str:
        """The digests of the trunks, joined."""
        return "-".join(trunk.state_digest() for trunk in self._each())

    def _each(self) -> list[Encoder]:
        return list(self.trunks)  # type: ignore[arg-type]
