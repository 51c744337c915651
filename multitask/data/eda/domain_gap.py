"""The gap between several sources: whether an image tells its source, and whether that would tell a label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multitask.data.framing import spread
from multitask.data.images import Preprocessing
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.utils.records import Count, Number

MOST_IMAGES = 400
"""Of each source that are looked at; of more, so many spread evenly."""
LEAST_GROUPS = 10
"""A source of fewer says nothing."""
TOLD_APART = 0.7
"""AUC that the interval's lower end must reach."""
MIX_DIFFERS = 0.4
"""Total variation distance between the labels of a source and those of the others."""
LEAST_LABELS = 10
"""A source with fewer labels of a task has no mix."""
_SIDE = 8
_RIDGE = 0.03
_NUM_FOLDS = 5
_NUM_RESAMPLES = 200


@dataclass(frozen=True)
class SourceGap:
    """How surely images tell that they are of one source rather than of the others.

    Attributes:
        source: its name.
        num_images: that were asked.
        num_groups: of these.
        auc: area under the ROC curve of a linear classifier, out of fold.
        low: lower end of the 95% interval, by resampling groups.
        high: upper end.
    """

    source: str
    num_images: Count
    num_groups: Count
    auc: Number
    low: Number
    high: Number

    @property
    def told_apart(self) -> bool:
        """Whether the source is beyond doubt told apart well."""
        return self.low >= TOLD_APART


@dataclass(frozen=True)
class Confound:
    """A source whose labels of a task are other than those of the other sources.

    Attributes:
        source: its name.
        task: the task's.
        label: the one whose share differs most.
        share: of the source's labels that are this one.
        elsewhere: of the other sources' labels.
    """

    source: str
    task: str
    label: str
    share: Number
    elsewhere: Number


@dataclass(frozen=True)
class DomainGap:
    """The gap between the sources of a data set.

    Attributes:
        sources: those of enough groups.
        confounds: of every source, told apart or not.
    """

    sources: tuple[SourceGap, ...]
    confounds: tuple[Confound, ...]

    @property
    def warnings(self) -> list[tuple[SourceGap, Confound]]:
        """The sources that are told apart and confounded: a head may learn the source in a label's place."""
        told = {gap.source: gap for gap in self.sources if gap.told_apart}
        return [(told[one.source], one) for one in self.confounds if one.source in told]


def domain_gap(
    samples: Samples,
    preprocessings: Sequence[Preprocessing],
    seed: int,
    on_done: Callable[[int], None] = lambda done: None,
) -> DomainGap | None:
    """The gap between the sources; None where fewer than two have ``LEAST_GROUPS`` groups that can be read.

    How well a classifier tells domains apart bounds what is lost between them: it is the proxy of the A-distance
    (Ben-David et al., A theory of learning from different domains, 2010), here as the area under its ROC curve, which
    counts sources of any size alike. A ridge classifier is asked from 8 x 8 pixels of what the network would see, by
    cross-validation over groups.

    Args:
        samples: N.
        preprocessings: N, how each becomes the network's pixels.
        seed: of folds and resamples.
        on_done: called with the number of images done so far.
    """
    chosen, features = _look(samples, preprocessings, on_done)
    names = [
        name
        for name in dict.fromkeys(samples.sources[chosen])
        if len({*samples.groups[chosen[samples.sources[chosen] == name]]}) >= LEAST_GROUPS
    ]
    if len(names) < 2:
        return None
    asked = np.isin(samples.sources[chosen].astype(str), names)
    chosen, features = chosen[asked], features[asked]
    sources = np.array([names.index(name) for name in samples.sources[chosen]])
    _, groups = np.unique(samples.groups[chosen].astype(str), return_inverse=True)
    rng = np.random.default_rng(seed)
    scores = _out_of_fold(features, sources, groups, rng)
    gaps = []
    for place, name in enumerate(names):
        own = sources == place
        auc, low, high = _interval(scores[:, place], own, groups, rng)
        gaps.append(SourceGap(str(name), int(own.sum()), len({*groups[own]}), auc, low, high))
    return DomainGap(tuple(gaps), tuple(confounds(samples)))


def confounds(samples: Samples) -> Iterator[Confound]:
    """The sources whose labels of a task are mixed otherwise than those of the others."""
    names = list(dict.fromkeys(samples.sources))
    for place, task in enumerate(samples.space.tasks):
        labels = samples.labels[:, place]
        counts = np.stack(
            [
                np.bincount(labels[(samples.sources == name) & (labels != MISSING)], minlength=task.num_classes)
                for name in names
            ]
        )
        for row, name in enumerate(names):
            others = np.delete(counts, row, axis=0).sum(axis=0)
            if min(counts[row].sum(), others.sum()) < LEAST_LABELS:
                continue
            own, elsewhere = counts[row] / counts[row].sum(), others / others.sum()
            if np.abs(own - elsewhere).sum() / 2 >= MIX_DIFFERS:
                label = int(np.argmax(own - elsewhere))
                yield Confound(str(name), task.name, task.classes[label], float(own[label]), float(elsewhere[label]))


def _look(
    samples: Samples, preprocessings: Sequence[Preprocessing], on_done: Callable[[int], None]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(M,) some readable samples of each source, and (M, F) of their colours, coarsely."""
    rows, features = [], []
    for name in dict.fromkeys(samples.sources):
        own = np.flatnonzero(samples.sources == name)
        for index in own[spread(len(own), MOST_IMAGES)]:
            preprocessing = preprocessings[index]
            given = preprocessing.given(samples)
            try:
                pixels = preprocessing.load(
                    samples.path(samples.images[index]), None if given is None else given[index]
                )
            except UserError:
                continue  # it is listed among those that cannot be read
            coarse = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
            rows.append(int(index))
            features.append(np.asarray(coarse, dtype=np.float64).ravel())
            on_done(len(rows))
    return np.array(rows, dtype=np.int64), np.array(features).reshape(len(rows), -1)


def _out_of_fold(
    features: NDArray[np.float64], sources: NDArray[np.int64], groups: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(M, S) the score of each source, by a classifier that has not seen the group; sources weigh the same."""
    fold = _folds(sources, groups, rng)
    targets = np.eye(sources.max() + 1)[sources]
    scores = np.empty_like(targets)
    for held in range(_NUM_FOLDS):
        train, test = fold != held, fold == held
        weights = (1.0 / np.bincount(sources[train], minlength=targets.shape[1]).clip(1))[sources[train]]
        weights /= weights.sum()
        mean = weights @ features[train]
        scale = np.sqrt(weights @ (features[train] - mean) ** 2).clip(1e-6)
        inputs, prior = (features - mean) / scale, weights @ targets[train]
        weighted = inputs[train].T * weights
        ridge = _RIDGE * np.eye(inputs.shape[1])
        solution = np.linalg.solve(weighted @ inputs[train] + ridge, weighted @ (targets[train] - prior))
        scores[test] = inputs[test] @ solution
    return scores


def _folds(sources: NDArray[np.int64], groups: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(M,) the fold of each sample: groups whole, and each source's dealt evenly."""
    fold = np.empty(groups.max() + 1, dtype=np.int64)
    for source in np.unique(sources):
        own = rng.permutation(np.unique(groups[sources == source]))
        fold[own] = np.arange(len(own)) % _NUM_FOLDS
    return fold[groups]


def _interval(
    scores: NDArray[np.float64], own: NDArray[np.bool_], groups: NDArray[np.int64], rng: np.random.Generator
) -> tuple[float, float, float]:
    """AUC of telling ``own`` from the rest, and its 95% interval over groups."""
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    sides = [np.unique(groups[own]), np.unique(groups[~own])]
    found = []
    for _ in range(_NUM_RESAMPLES):
        drawn = np.concatenate([members[group] for side in sides for group in rng.choice(side, len(side))])
        found.append(auc(scores[drawn], own[drawn]))
    low, high = np.quantile(found, [0.025, 0.975])
    return auc(scores, own), float(low), float(high)


def auc(scores: NDArray[np.float64], own: NDArray[np.bool_]) -> float:
    """The probability that a sample of ``own`` scores above one of the rest; a tie counts half."""
    ordered = np.sort(scores[~own])
    below = np.searchsorted(ordered, scores[own], side="left") + np.searchsorted(ordered, scores[own], side="right")
    return float(below.mean() / 2 / len(ordered))
