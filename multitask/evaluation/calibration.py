"""The scores of the images that validated a run, so that sets and thresholds can be promised for new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PlainSerializer

from multitask.errors import UserError
from multitask.evaluation.conformal import Thresholds, label_thresholds, least_groups
from multitask.evaluation.conformity import LAC, Conformity, mass_below_label
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.evaluation.selective import answer_threshold
from multitask.labels import JOINT, MISSING, LabelSpace, shown_name
from multitask.settings import Settings
from multitask.utils.seeds import derive

MOST_IMAGES = 20_000
"""Of more images whole groups are left out at random: the promise is the same, of fewer groups."""

_DIGITS = 6


def _numbers(kind: type[float]) -> BeforeValidator:
    return BeforeValidator(lambda value: tuple(map(kind, value.split())) if isinstance(value, str) else value)


Numbers = Annotated[
    tuple[float, ...],
    _numbers(float),
    PlainSerializer(lambda values: " ".join(f"{value:.{_DIGITS}g}" for value in values)),
]
"""Numbers between 0 and 1; in a file a text with spaces between them, which stays on one line."""

Places = Annotated[tuple[int, ...], _numbers(int), PlainSerializer(lambda values: " ".join(map(str, values)))]
"""Whole numbers, likewise."""


@dataclass(frozen=True, eq=False)
class Labelling:
    """Probabilities and labels of M images, for one task or for the class.

    Attributes:
        probs: (M, C_t) calibrated probabilities.
        labels: (M,) the right labels, ``MISSING`` where unknown.
        possible: (C_t,) bool, the labels that can occur.
    """

    probs: FloatArray
    labels: IntArray
    possible: NDArray[np.bool_]


def marginals(class_probs: FloatArray, space: LabelSpace) -> dict[str, FloatArray]:
    """Per task, (N, C_t) probabilities: the sums of (N, C) classes'."""
    product = class_probs.reshape(-1, *space.sizes)
    axes = range(1, space.num_tasks + 1)
    return {
        task.name: product.sum(axis=tuple(axis for axis in axes if axis != place))
        for place, task in enumerate(space.tasks, start=1)
    }


def labellings(class_probs: FloatArray, labels: IntArray, space: LabelSpace) -> dict[str, Labelling]:
    """Each task's, and last that of the classes, as ``joint``.

    Args:
        class_probs: (N, C) calibrated probabilities.
        labels: (N, T), ``MISSING`` where unknown.
        space: the label space.
    """
    columns = dict(zip(space.task_names, labels.T, strict=True))
    found = {
        name: Labelling(probs, columns[name], space.possible_labels(name))
        for name, probs in marginals(class_probs, space).items()
    }
    return found | {JOINT: Labelling(class_probs, space.encode(labels), space.possible)}


class Calibration(Settings):
    """The calibrating images, N of them: probabilities of the right labels, and how sure the decisions were.

    Their probabilities are by temperatures that were fitted on other groups, so that they are no better than those of
    new images. In a run in folds each is of the one network that did not train on it, and a new image is answered by
    all networks together: where these are better, as they mostly are, sets hold the right label more often than they
    promise.

    Attributes:
        groups: (N,) the group of each image, from 0.
        labels: per task, and for ``joint``, (N,) the right label, ``MISSING`` where unknown.
        probs: likewise, its calibrated probability, 0 where unknown; rounded down, so that a set can only gain.
        confidences: (N,) the calibrated probability of the decided class.
        right: (N,) whether that is the right one; 0 where the class is unknown.
        below: as ``probs``, the sum of the probabilities that are less than the right label's, likewise rounded down;
            None in files from before it was kept, which promise no adaptive sets.
    """

    groups: Places
    labels: dict[str, Places]
    probs: dict[str, Numbers]
    confidences: Numbers
    right: Places
    below: Annotated[dict[str, Numbers] | None, Field(exclude_if=lambda below: below is None)] = None

    @classmethod
    def of(
        cls, space: LabelSpace, class_probs: FloatArray, labels: IntArray, predicted: IntArray, groups: IntArray
    ) -> Calibration:
        """The calibration by N images on which the network was not trained, nor what calibrates its probabilities.

        Args:
            space: the label space.
            class_probs: (N, C) calibrated probabilities.
            labels: (N, T), ``MISSING`` where unknown.
            predicted: (N,) the decided classes.
            groups: (N,) numbers, one for each group.
        """
        rows = _drawn(groups)
        class_probs, labels, predicted = class_probs[rows], labels[rows], predicted[rows]
        found = labellings(class_probs, labels, space)
        at = np.arange(len(rows))

        def known(part: Labelling, values: FloatArray) -> tuple[float, ...]:
            return _rounded_down(np.where(part.labels == MISSING, 0.0, values))

        return cls(
            groups=tuple(np.unique(groups[rows], return_inverse=True)[1].tolist()),
            labels={name: tuple(part.labels.tolist()) for name, part in found.items()},
            probs={name: known(part, part.probs[at, part.labels]) for name, part in found.items()},
            confidences=_rounded_down(class_probs[at, predicted]),
            right=tuple((found[JOINT].labels == predicted).astype(int).tolist()),
            below={name: known(part, mass_below_label(part.probs, part.labels)) for name, part in found.items()},
        )

    @cached_property
    def group_numbers(self) -> IntArray:
        """``groups`` as an array."""
        return np.array(self.groups, dtype=np.int64)

    def num_groups(self, name: str) -> int:
        """In how many groups the right label of a task, or of ``joint``, is known."""
        return len(np.unique(self.group_numbers[np.array(self.labels[name], dtype=np.int64) != MISSING]))

    def thresholds(
        self, name: str, possible: NDArray[np.bool_], coverage: float, conformity: Conformity = LAC
    ) -> Thresholds | None:
        """Those of a task's labels, or of the classes for ``joint``; None where too few groups calibrate.

        Args:
            name: the task's, or ``joint``.
            possible: (C_t,) bool, its labels that can occur.
            coverage: as of ``label_thresholds``.
            conformity: of labels, which ``serves``; what a randomised one draws is the same each time.
        """
        labels = np.array(self.labels[name], dtype=np.int64)
        known = labels != MISSING
        scores = np.array(self.probs[name], dtype=np.float64)
        if conformity.adaptive:
            assert self.below is not None
            draws = np.random.default_rng(derive(0, "calibration")).random(len(scores))
            scores = conformity.of(scores, np.array(self.below[name], dtype=np.float64), draws)
        return label_thresholds(scores[known], labels[known], self.group_numbers[known], possible, coverage)

    def serves(self, conformity: Conformity) -> bool:
        """Whether enough was kept for this score."""
        return self.below is not None or not conformity.adaptive

    def answer_threshold(self, max_risk: float) -> float | None:
        """The confidence from which the decided class is answered, as of ``answer_threshold``."""
        known = np.array(self.labels[JOINT], dtype=np.int64) != MISSING
        confidences = np.array(self.confidences, dtype=np.float64)
        right = np.array(self.right, dtype=np.int64).astype(bool)
        return answer_threshold(confidences[known], right[known], self.group_numbers[known], max_risk)

    def check(self, sizes: Mapping[str, int]) -> None:
        """Refuses what does not fit together, or belongs to another label space.

        Args:
            sizes: of tasks, and of ``joint``, how many labels there are.

        Raises:
            UserError: it names the key.
        """
        columns: dict[str, tuple[float, ...]] = {"confidences": self.confidences, "right": self.right}
        parts: dict[str, Mapping[str, tuple[float, ...]]] = {"labels": self.labels, "probs": self.probs}
        if self.below is not None:
            parts["below"] = self.below
        for key, part in parts.items():
            if missing := sizes.keys() - part.keys():
                raise UserError(f"{key}: must be of {', '.join(sorted(missing))} too, found {[*part]}")
            columns |= {f"{key}.{name}": values for name, values in part.items()}
        for key, values in columns.items():
            if len(values) != len(self.groups):
                raise UserError(f"{key}: must be {len(self.groups)} numbers, found {len(values)}")
            low, high = 0.0, 1.0
            if key.startswith("labels."):
                low, high = MISSING, sizes.get(key.removeprefix("labels."), np.inf) - 1
            if not all(low <= value <= high for value in values):
                raise UserError(f"{key}: must be within {low:g} and {high:g}")


def sizes_of(space: LabelSpace) -> dict[str, int]:
    """Of each task, and of ``joint``, how many labels there are."""
    return {**{task.name: task.num_classes for task in space.tasks}, JOINT: space.num_classes}


def check_coverage(coverage: float, calibration: Calibration | None) -> dict[str, str]:
    """Refuses a coverage that can be promised of nothing.

    Args:
        coverage: asked for.
        calibration: the run's; None: nobody validated it.

    Returns:
        Of which tasks, or of ``joint``, it cannot be promised, and why: the others can keep it.

    Raises:
        UserError: it is none, or the groups that validated the run are too few for it.
    """
    if not 0 < coverage < 1:
        raise UserError(f"coverage: must be above 0 and below 1, found {coverage:g}")
    found = _needed(calibration, "coverage")
    least = least_groups(coverage)
    known = {name: found.num_groups(name) for name in found.labels}
    few = {
        name: f"needs {least:,} groups that validate and whose {shown_name(name)} is known, and the run has {num:,}"
        for name, num in known.items()
        if num < least
    }
    if len(few) == len(known):
        name = max(known, key=lambda each: known[each])
        num = known[name]
        most = f"; at most {num / (num + 1):.3g} can be promised" if num else ""
        raise UserError(f"coverage {coverage:g}: {few[name]}{most}")
    return few


def check_risk(max_risk: float, calibration: Calibration | None) -> Calibration:
    """Refuses a risk that is none, and a run without calibration of its classes, which is returned.

    Raises:
        UserError: either.
    """
    if not 0 < max_risk < 1:
        raise UserError(f"max risk: must be above 0 and below 1, found {max_risk:g}")
    found = _needed(calibration, "max risk")
    if not found.num_groups(JOINT):
        raise UserError(
            "max risk: needs groups that validate and whose class is known, and the run has 0; "
            "a coverage gives each task's sets of labels instead"
        )
    return found


def _needed(calibration: Calibration | None, what: str) -> Calibration:
    if calibration is None:
        raise UserError(
            f"{what}: the run keeps no calibration: two groups at least whose labels are known must have "
            "validated it, and `multitask evaluate RUN` writes what a run of an older version lacks"
        )
    return calibration


def _drawn(groups: IntArray) -> NDArray[np.int64]:
    """The rows of as many groups, drawn at random, as have at most ``MOST_IMAGES``; all where that is enough."""
    if len(groups) <= MOST_IMAGES:
        return np.arange(len(groups))
    _, of_group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(0).permutation(len(sizes))
    kept = order[np.cumsum(sizes[order]) <= MOST_IMAGES]
    return np.flatnonzero(np.isin(of_group, kept))


def _rounded_down(values: FloatArray) -> tuple[float, ...]:
    """To ``_DIGITS`` significant digits."""
    values = np.clip(values, 0.0, 1.0)
    scale = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(np.maximum(values, 1e-300))))
    found = np.where(values > 1e-300, np.floor(values * scale) / scale, 0.0)
    return tuple(float(f"{value:.{_DIGITS}g}") for value in found)
