"""The gap between several sources: whether an image tells its source, and whether that would tell a label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multitask.data.framing import spread
from multitask.data.images import Pixels, Preprocessing
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
"""Total variation distance between the labels of a source and those of the others: of a label one could then guess the
source, both being as frequent, 70 times of 100. Sets made apart have other mixes as a rule, which is no warning yet."""
LEAST_LABELS = 10
"""A source with fewer labels of a task has no mix."""
_SIDE = 8
_RIDGE = 0.03
_NUM_FOLDS = 5
_NUM_RESAMPLES = 200
_BATCH = 32

Encode = Callable[[NDArray[np.uint8]], Mapping[tuple[str, ...], NDArray[np.float64]]]
"""(B, H, W, 3) pixels to (B, F) features, by the tasks whose heads read them."""


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
class FeatureGap:
    """The gap in features that a trained network's heads read.

    Attributes:
        tasks: whose heads read them.
        sources: as of ``DomainGap``.
    """

    tasks: tuple[str, ...]
    sources: tuple[SourceGap, ...]


@dataclass(frozen=True)
class DomainGap:
    """The gap between the sources of a data set.

    Attributes:
        sources: those of enough groups; none where fewer than two are.
        confounds: of every source, told apart or not.
        features: the gap in the features of each task, where there is a network.
        not_asked: the names of the sources that are not told apart, since too few have ``LEAST_GROUPS`` groups.
    """

    sources: tuple[SourceGap, ...]
    confounds: tuple[Confound, ...]
    features: tuple[FeatureGap, ...] = ()
    not_asked: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[tuple[SourceGap, Confound]]:
        """The sources that are told apart and confounded: a head may learn the source in a label's place.

        By the features of the task itself where there are any, else by pixels.
        """
        read = {task: gap.sources for gap in self.features for task in gap.tasks}
        return [
            (gap, one)
            for one in self.confounds
            for gap in read.get(one.task, self.sources)
            if gap.source == one.source and gap.told_apart
        ]


def domain_gap(
    samples: Samples,
    preprocessings: Sequence[Preprocessing],
    seed: int,
    on_done: Callable[[int], None] = lambda done: None,
    encode: Encode | None = None,
) -> DomainGap:
    """The gap between the sources that have ``LEAST_GROUPS`` groups that can be read.

    How well a classifier tells domains apart bounds what is lost between them: it is the proxy of the A-distance
    (Ben-David et al., A theory of learning from different domains, 2010), here as the area under its ROC curve, which
    counts sources of any size alike. A ridge classifier is asked from 8 x 8 pixels of what the network would see, by
    cross-validation over groups; the same of the features of a network that is given.

    Args:
        samples: N.
        preprocessings: N, how each becomes the network's pixels.
        seed: of folds and resamples.
        on_done: called with the number of images done so far.
        encode: a network, whose features are asked too; None: there is none.
    """
    chosen, coarse, encoded = _look(samples, preprocessings, on_done, encode)
    there = [str(name) for name in dict.fromkeys(samples.sources)]
    names = [name for name in there if len({*samples.groups[chosen[samples.sources[chosen] == name]]}) >= LEAST_GROUPS]
    found = tuple(confounds(samples))
    if len(names) < 2:
        return DomainGap((), found, not_asked=tuple(there))
    asked = np.isin(samples.sources[chosen].astype(str), names)
    chosen = chosen[asked]
    sources = np.array([names.index(name) for name in samples.sources[chosen]])
    _, groups = np.unique(samples.groups[chosen].astype(str), return_inverse=True)
    rng = np.random.default_rng(seed)

    def gaps(features: NDArray[np.float64]) -> tuple[SourceGap, ...]:
        scores, found = _out_of_fold(features[asked], sources, groups, rng), []
        for place, name in enumerate(names):
            own = sources == place
            auc, low, high = _interval(scores[:, place], own, groups, rng)
            found.append(SourceGap(str(name), int(own.sum()), len({*groups[own]}), auc, low, high))
        return tuple(found)

    of_pixels = gaps(coarse)
    of_features = tuple(FeatureGap(tasks, gaps(features)) for tasks, features in encoded.items())
    return DomainGap(of_pixels, found, of_features, tuple(name for name in there if name not in names))


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
    samples: Samples,
    preprocessings: Sequence[Preprocessing],
    on_done: Callable[[int], None],
    encode: Encode | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], dict[tuple[str, ...], NDArray[np.float64]]]:
    """(M,) some readable samples of each source; (M, F) of their colours, coarsely; their features, if any."""
    rows, features, num_seen = [], [], 0
    waiting: list[Pixels] = []
    encoded: dict[tuple[str, ...], list[NDArray[np.float64]]] = {}

    def flush() -> None:
        found = encode(np.stack(waiting)) if encode is not None and waiting else {}
        for tasks, values in found.items():
            encoded.setdefault(tasks, []).append(values)
        waiting.clear()

    for name in dict.fromkeys(samples.sources):
        own = np.flatnonzero(samples.sources == name)
        for index in own[spread(len(own), MOST_IMAGES)]:
            preprocessing = preprocessings[index]
            given = preprocessing.given(samples)
            num_seen += 1
            on_done(num_seen)
            try:
                pixels = preprocessing.load(
                    samples.path(samples.images[index]), None if given is None else given[index]
                )
            except UserError:
                continue  # it is listed among those that cannot be read
            coarse = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
            rows.append(int(index))
            features.append(np.asarray(coarse, dtype=np.float64).ravel())
            waiting.append(pixels)
            if len(waiting) == _BATCH:
                flush()
    flush()
    whole = {tasks: np.concatenate(parts) for tasks, parts in encoded.items()}
    return np.array(rows, dtype=np.int64), np.array(features).reshape(len(rows), -1), whole


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
        # Of as many directions as pixels have, however many features there are.
        ridge = _RIDGE * max(1.0, inputs.shape[1] / (3 * _SIDE**2)) * np.eye(inputs.shape[1])
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
