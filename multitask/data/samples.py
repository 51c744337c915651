"""The one table of samples: which picture, of which group, with which labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError
from multitask.labels import LabelSpace


@dataclass(frozen=True, eq=False)
class Samples:
    """N labelled pictures, a column each.

    Attributes:
        space: the label space that ``labels`` belongs to.
        root: the folder that ``images`` are relative to.
        images: (N,) str, relative paths with ``/``; no two alike.
        groups: (N,) str; the pictures of one group (a person) stay together in every split.
        labels: (N, T) int64, ``MISSING`` where unknown; columns in task order.
        numbers: (N, T) float64, the raw number of a binned task (an age), NaN where unknown or not binned.
        weights: (N,) float32, how much each counts in the loss.
        sources: (N,) str, where each came from.
        boxes: (N, 4) float64, left, top, right, bottom of what matters in the picture, in its pixels; NaN where
            unknown. None where the source has none.
    """

    space: LabelSpace
    root: Path
    images: NDArray[np.object_]
    groups: NDArray[np.object_]
    labels: NDArray[np.int64]
    numbers: NDArray[np.float64]
    weights: NDArray[np.float32]
    sources: NDArray[np.object_]
    boxes: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        num = len(self)
        assert self.boxes is None or self.boxes.shape == (num, 4)
        assert self.labels.shape == self.numbers.shape == (num, self.space.num_tasks)
        assert len(self.groups) == len(self.weights) == len(self.sources) == num

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_groups(self) -> int:
        """How many groups there are."""
        return len(set(self.groups))

    @property
    def classes(self) -> NDArray[np.int64]:
        """(N,) class indices, ``MISSING`` where a task's label is."""
        return self.space.encode(self.labels)

    def paths(self) -> list[Path]:
        """The pictures' files."""
        return [self.root / image for image in self.images]

    def take(self, indices: NDArray[np.int64]) -> Samples:
        """The samples at ``indices``, in that order."""
        return Samples(
            self.space,
            self.root,
            self.images[indices],
            self.groups[indices],
            self.labels[indices],
            self.numbers[indices],
            self.weights[indices],
            self.sources[indices],
            None if self.boxes is None else self.boxes[indices],
        )

    @classmethod
    def from_values(
        cls,
        space: LabelSpace,
        root: Path,
        images: Sequence[str],
        groups: Sequence[str],
        values: Mapping[str, Sequence[Any]],
        source: str,
    ) -> Samples:
        """A table from raw values.

        Args:
            space: what the values are encoded by.
            root: the folder of the pictures.
            images: N relative paths.
            groups: N groups.
            values: per task, N raw values: class names, numbers for a binned task, None where unknown.
            source: provenance of all of them.

        Raises:
            UserError: there is no sample; a value is no class of its task; a cell that cannot occur does.
        """
        num = len(images)
        if num == 0:
            raise UserError(f"{root}: holds no samples")
        labels = np.empty((num, space.num_tasks), dtype=np.int64)
        numbers = np.full((num, space.num_tasks), np.nan)
        for column, task in enumerate(space.tasks):
            indices: dict[Any, int] = {}
            for row, value in enumerate(values[task.name]):
                if value not in indices:
                    try:
                        indices[value] = task.index(value)
                    except UserError as error:
                        raise UserError(f"{root / images[row]}: {error}") from None
                labels[row, column] = indices[value]
            if task.kind == "binned":
                numbers[:, column] = [np.nan if value in (None, "") else float(value) for value in values[task.name]]
        samples = cls(
            space,
            root,
            np.array(images, dtype=object),
            np.array(groups, dtype=object),
            labels,
            numbers,
            np.ones(num, dtype=np.float32),
            np.full(num, source, dtype=object),
        )
        samples._check_possible()
        return samples

    def _check_possible(self) -> None:
        classes = self.classes
        wrong = np.flatnonzero((classes >= 0) & ~self.space.possible[classes])
        if len(wrong):
            name = self.space.class_names[classes[wrong[0]]]
            raise UserError(
                f"{self.root / self.images[wrong[0]]}: is labelled {name!r}, which labels.impossible says cannot occur"
            )


@dataclass(frozen=True)
class Queries:
    """Pictures to be answered, in the order in which the answers are wanted.

    Attributes:
        ids: what the answer file calls them.
        paths: their files, one for each id.
    """

    ids: tuple[str, ...]
    paths: tuple[Path, ...]
