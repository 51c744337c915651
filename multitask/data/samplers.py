"""Samplers: the training samples that an epoch serves, and their order."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from multitask.data.samples import Samples
from multitask.errors import UserError, nearest
from multitask.settings import Float, PositiveFloat, Settings, Table
from multitask.utils.spelling import Name


class SamplerSettings(Settings):
    """The settings of a sampler. Whatever the sampler, an epoch serves as many samples as there are to train on."""

    name: str

    @abstractmethod
    def chances(self, samples: Samples) -> NDArray[np.float64] | None:
        """The probability of each of N training samples in each draw of an epoch.

        Returns:
            (N,), which sum to 1, for draws with replacement; None where every sample is served once.

        Raises:
            UserError: a setting does not fit the samples.
        """


SAMPLERS: Table[SamplerSettings] = Table("sampler", SamplerSettings, default="uniform")
"""The table of samplers; its rows stand in the package's ``__init__``."""

AnySampler = Annotated[SamplerSettings, SAMPLERS]


class UniformSettings(SamplerSettings):
    """Every sample once."""

    name: Literal["uniform"] = "uniform"

    def chances(self, samples: Samples) -> None:
        """None: every sample is served once."""


class ClassWeightedSettings(SamplerSettings):
    """Samples of rare classes more often: sample i with a probability proportional to n_c ** -power.

    n_c is the number of training samples of its class c; ``power`` 1 draws all classes equally often, 0 all samples.
    The classes are those of the product; incomplete labels count as classes of their own.
    """

    name: Literal["class_weighted"] = "class_weighted"
    power: Annotated[Float, Field(gt=0, le=1)] = 1.0

    def chances(self, samples: Samples) -> NDArray[np.float64]:
        """(N,) proportional to n_c ** -power."""
        _, classes, counts = np.unique(samples.kinds, return_inverse=True, return_counts=True)
        if len(counts) == 1:
            raise UserError("data.sampler: class_weighted would be ignored: all images that train are of one class")
        return _shares(counts[classes].astype(np.float64) ** -self.power)


class PerSourceSettings(SamplerSettings):
    """Each of several sources by its own weight: sample i with a probability proportional to w_s / n_s.

    w_s is the weight of its source s and n_s the number of training samples of that source.
    """

    name: Literal["per_source"] = "per_source"
    weights: dict[Name, Annotated[PositiveFloat, Field(le=1e6)]] = {}
    """By the source's name; 1 where none is given."""

    def chances(self, samples: Samples) -> NDArray[np.float64]:
        """(N,) proportional to w_s / n_s."""
        import pandas as pd

        sources, names = pd.factorize(samples.sources)
        for name in self.weights:
            if name not in names:
                raise UserError(f"data.sampler.weights.{name}: no source of that name trains{nearest(name, names)}")
        weights = np.array([self.weights.get(name, 1.0) for name in names])
        return _shares((weights / np.bincount(sources))[sources])


class GroupsBalancedSettings(SamplerSettings):
    """Each group equally often: sample i with a probability proportional to 1 / n_g, n_g the samples of its group g."""

    name: Literal["groups_balanced"] = "groups_balanced"

    def chances(self, samples: Samples) -> NDArray[np.float64]:
        """(N,) proportional to 1 / n_g."""
        groups = samples.group_indices()
        if len(groups) > 1 and groups.max() + 1 == len(groups):
            raise UserError(
                "data.sampler: groups_balanced would be ignored: each image that trains is a group of its own; let "
                "the source say which images are of one group"
            )
        return _shares(1.0 / np.bincount(groups)[groups])


def _shares(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def draw(
    indices: NDArray[np.int64], chances: NDArray[np.float64] | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The samples of one epoch, in order.

    Args:
        indices: (N,) the training samples.
        chances: (N,) as ``SamplerSettings.chances`` gives them.
        rng: for the order and, where there are chances, the draws.

    Returns:
        (N,) some of ``indices``.
    """
    if chances is None:
        return rng.permutation(indices)
    # One uniform number in each N-th of the line: as many draws of each sample as is its due, to within one or two,
    # where independent draws would be off by the square root; then shuffled.
    ends = np.cumsum(chances)
    points = (np.arange(len(indices)) + rng.random(len(indices))) / len(indices) * ends[-1]
    return rng.permutation(indices[np.searchsorted(ends, points, side="right").clip(max=len(indices) - 1)])
