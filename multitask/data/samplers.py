"""Samplers: the training samples that an epoch serves, and their order."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from multitask.data.samples import Samples
from multitask.errors import UserError, nearest
from multitask.settings import Bool, Float, PositiveFloat, PositiveInt, Settings, Table
from multitask.utils.spelling import Name
from multitask.utils.tar_files import IN_TAR


@dataclass(frozen=True, eq=False)
class Strata:
    """N samples in strata, of each of which an epoch serves a few.

    Attributes:
        of: (N,) the stratum of each sample, from 0.
        num: how many an epoch serves of each, at random; all of one that has fewer.
        together: (N,) the group of each sample, from 0, whose samples are served one after the other; None: all are
            shuffled.
    """

    of: NDArray[np.int64]
    num: int
    together: NDArray[np.int64] | None = None

    @property
    def num_served(self) -> int:
        """M, how many samples an epoch serves."""
        return int(np.minimum(np.bincount(self.of), self.num).sum())

    def frequencies(self) -> NDArray[np.float64]:
        """(N,) how often an epoch serves each sample in the mean."""
        sizes = np.bincount(self.of)
        return (np.minimum(sizes, self.num) / np.maximum(sizes, 1))[self.of]

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """(M,) places among the samples, in a random order."""
        order = rng.permutation(len(self.of))
        order = order[np.argsort(self.of[order], kind="stable")]
        starts = np.searchsorted(self.of[order], np.arange(self.of.max() + 1))
        rank = np.arange(len(order)) - starts[self.of[order]]
        served = rng.permutation(order[rank < self.num])
        if self.together is None:
            return served
        turn = rng.permutation(self.together.max() + 1)
        return served[np.argsort(turn[self.together[served]], kind="stable")]


@dataclass(frozen=True, eq=False)
class Stream:
    """N samples in shards, of which an epoch serves each once and nearly in the order in which they are stored.

    Attributes:
        shards: (N,) the shard of each sample, from 0; samples of one shard follow each other as they are stored.
        buffer: a sample is served at most so many places from where it would be without shuffling.
    """

    shards: NDArray[np.int64]
    buffer: int

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """(N,) places among the samples: shard after shard in a random order, shuffled within the buffer."""
        turn = rng.permutation(self.shards.max() + 1)
        order = np.argsort(turn[self.shards], kind="stable")
        # As a buffer that is filled in order and emptied at random does, but for its last few: no sample passes one
        # that stands a buffer's length before it.
        return order[np.argsort(np.arange(len(order)) + rng.random(len(order)) * self.buffer, kind="stable")]


class SamplerSettings(Settings):
    """The settings of a sampler.

    An epoch serves as many samples as there are to train on, unless the sampler makes strata of them.
    """

    name: str
    keeps_images: ClassVar[bool] = True
    """Whether decoded images may be kept from one epoch to the next, as ``data.cache`` says."""

    def strata(self, samples: Samples) -> Strata | None:
        """The strata of N training samples; None: there are none, and ``chances`` says how often each is drawn.

        Raises:
            UserError: a setting does not fit the samples.
        """
        return None

    def stream(self, samples: Samples) -> Stream | None:
        """The stream of N training samples; None: they are shuffled whatever their places on disk."""
        return None

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
        sources = samples.sources.numbers()
        names = samples.sources[np.unique(sources, return_index=True)[1]].tolist()
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


class PerGroupSettings(SamplerSettings):
    """A few images of each group an epoch, others in each epoch: near-copies are not seen seven times.

    An epoch is the shorter for it, and so is a training of as many epochs.
    """

    name: Literal["per_group"] = "per_group"
    num: PositiveInt = 1
    """How many, at most."""
    of: Literal["class", "group"] = "class"
    """class: so many of each class that a group has, so that of five images with a mask, one without and one where it
    is worn wrong, three are served; group: so many of a group, whatever their classes."""
    together: Bool = False
    """Whether a group's images are served one after the other, so that a batch holds them together (all but those of a
    group that is cut by a batch's end)."""

    def strata(self, samples: Samples) -> Strata:
        """A stratum for each group, or for each class in it."""
        strata = groups = samples.group_indices()
        if self.of == "class":
            kinds = samples.kinds
            strata = strata * (kinds.max() + 1) + kinds
        of = np.unique(strata, return_inverse=True)[1].astype(np.int64)
        found = Strata(of, self.num, groups if self.together else None)
        if found.num_served == len(samples) and not (self.together and groups.max() + 1 < len(samples)):
            what = "class of a group" if self.of == "class" else "group"
            raise UserError(f"data.sampler: per_group would be ignored: no {what} has more than {self.num} to train on")
        return found

    def chances(self, samples: Samples) -> None:
        """None: within a stratum all are alike."""


class StreamSettings(SamplerSettings):
    """Every sample once, read shard after shard: for sets beyond memory, of the source ``webdataset``.

    Each epoch the shards come in a random order, and samples are shuffled within a buffer, so that all that is read at
    a time lies near each other on disk.
    """

    name: Literal["stream"] = "stream"
    buffer: PositiveInt = 10_000
    """A sample is served at most so many places from where it stands in its shard. Larger: better shuffled, but read
    less in order; at the least several batches."""
    keeps_images: ClassVar[bool] = False

    def stream(self, samples: Samples) -> Stream:
        """Shards as the images' paths have them."""
        import pandas as pd

        shards = [image[: image.find(IN_TAR)] if IN_TAR in image else "" for image in samples.images]
        return Stream(pd.factorize(np.array(shards, dtype=object))[0].astype(np.int64), self.buffer)

    def chances(self, samples: Samples) -> None:
        """None: every sample is served once."""


def _shares(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


class EpochDraws:
    """The training samples that each epoch serves, and their order.

    Args:
        samples: N that train.
        sampler: chooses among them; None: every sample once.

    Raises:
        UserError: a setting does not fit the samples.
    """

    def __init__(self, samples: Samples, sampler: SamplerSettings | None) -> None:
        self._num = len(samples)
        self._strata = sampler.strata(samples) if sampler else None
        self._stream = sampler.stream(samples) if sampler and self._strata is None else None
        self._chances = sampler.chances(samples) if sampler and self._strata is None else None
        if self._chances is not None and self._chances.shape != (self._num,):
            raise UserError(
                f"data.sampler: {type(sampler).__name__}.chances must give one for each of {self._num:,} samples, "
                f"found {self._chances.shape}"
            )

    def __len__(self) -> int:
        """M, how many samples an epoch serves."""
        return self._num if self._strata is None else self._strata.num_served

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """(M,) places among the samples, for one epoch; ``rng`` is for the order and the choice."""
        if self._strata is not None:
            return self._strata.draw(rng)
        if self._stream is not None:
            return self._stream.draw(rng)
        return draw(np.arange(self._num), self._chances, rng)


def serving_frequencies(samples: Samples, sampler: SamplerSettings | None) -> NDArray[np.float64]:
    """(N,) how often an epoch serves each of N training samples in the mean; None: each once.

    Raises:
        UserError: a setting does not fit the samples.

    >>> from multitask.testing.samplers import UNEVEN
    >>> drawn = serving_frequencies(UNEVEN, ClassWeightedSettings())
    >>> np.bincount(UNEVEN.kinds, drawn)[np.unique(UNEVEN.kinds)].round(6).tolist()
    [25.0, 25.0, 25.0, 25.0]
    """
    if sampler is None:
        return np.ones(len(samples))
    if (strata := sampler.strata(samples)) is not None:
        return strata.frequencies()
    chances = sampler.chances(samples)
    return np.ones(len(samples)) if chances is None else chances * len(samples)


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
