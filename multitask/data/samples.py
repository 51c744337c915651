"""The table of samples: images with their groups and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from multitask.data.label_kinds import distinct_labels, kinds_of
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace
from multitask.utils.spelling import canonical, find_file
from multitask.utils.strings import Strings
from multitask.utils.tar_files import IN_TAR, is_member
from multitask.utils.texts import Codes

SIDES = ("train", "val", "test")
"""What a source may say that an image is for: in ``Samples.sides`` as indices, ``MISSING`` where it says nothing."""

Column = NDArray[Any] | Strings


def labels_dtype(space: LabelSpace) -> np.dtype[np.signedinteger[Any]]:
    """The integers of ``Samples.labels``: they hold the number of classes of any task, and its negative, too."""
    return np.result_type(np.int8, *(np.min_scalar_type(-size - 1) for size in space.sizes))


class Files(Sequence[Path]):
    """The paths of images, each made on access: a path takes more memory than all the rest of its row.

    Args:
        images: relative paths.
        path: gives the file of one of them.

    >>> files = Files(Strings.of(["a.jpg", "b.jpg"]), Path("set").joinpath)
    >>> len(files), files[1].as_posix(), [path.name for path in files]
    (2, 'set/b.jpg', ['a.jpg', 'b.jpg'])
    """

    def __init__(self, images: Strings, path: Callable[[str], Path]) -> None:
        self._images = images
        self._path = path

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> list[Path]: ...
    def __getitem__(self, index: int | slice) -> Path | list[Path]:
        images: Any = self._images[index]
        return [self._path(image) for image in images] if isinstance(index, slice) else self._path(images)

    def __iter__(self) -> Iterator[Path]:
        return map(self._path, self._images)


@dataclass(frozen=True, eq=False)
class Samples:
    """N labelled images, a column each.

    Attributes:
        space: the label space that ``labels`` belongs to.
        root: the folder that ``images`` are relative to.
        images: (N,) relative paths with ``/``; no two alike.
        groups: (N,); the images of one group (a person) stay together in every split.
        labels: (N, T) signed integers, of as few bytes as the space's labels need; ``MISSING`` where unknown; columns
            in task order.
        numbers: (N, T) the raw number of a binned task (an age), NaN where unknown or not binned; float32 where that
            holds all of them as they are, else float64.
        weights: (N,) float32, in the loss; only the ratios within a batch matter.
        sources: (N,) the name of the source of each.
        ids: (N,) what the source calls each or its group, by which corrections may find them; not always unique.
            None where the source has none.
        sides: (N,) int64, indices into ``SIDES`` where the source says who trains, validates and tests, ``MISSING``
            where it does not; alike within a group. None where it says nothing.
        boxes: (N, 4) float64, left, top, right, bottom of what matters in the image, in its pixels; NaN where
            unknown. None where the source has none.
        eyes: (N, 4) float64, x and y of the face's right eye, then of the left one, likewise.
        roots: where sources are mixed, the folder of each, by the first part of its images' paths. None where ``root``
            is the one folder.
        notes: warnings to be shown once before training, a sentence each.
        other_files: where folders were looked through, how many files in them are no images, by suffix.
    """

    space: LabelSpace
    root: Path
    images: Strings
    groups: Strings
    labels: Codes
    numbers: NDArray[np.floating[Any]]
    weights: NDArray[np.float32]
    sources: Strings
    ids: Strings | None = None
    sides: NDArray[np.int64] | None = None
    boxes: NDArray[np.float64] | None = None
    roots: Mapping[str, Path] | None = None
    notes: tuple[str, ...] = ()
    other_files: Mapping[str, int] = field(default_factory=dict)
    eyes: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name in ("images", "groups", "sources", "ids"):
            if getattr(self, name) is not None:  # also given as an array of objects, as sources of one's own may
                object.__setattr__(self, name, Strings.of(getattr(self, name)))
        object.__setattr__(self, "labels", _narrow_labels(self.labels, self.space))
        object.__setattr__(self, "numbers", narrowest(self.numbers))
        num = len(self)
        assert self.labels.shape == self.numbers.shape == (num, self.space.num_tasks)
        assert self.boxes is None or self.boxes.shape == (num, 4)
        assert all(len(column) == num for column in self.columns().values())

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_groups(self) -> int:
        """G, the number of groups."""
        return self.groups.num_distinct

    def group_indices(self) -> NDArray[np.int64]:
        """(N,) the groups as numbers from 0, in the order in which they appear."""
        return self.groups.numbers()

    @property
    def classes(self) -> NDArray[np.int64]:
        """(N,) class indices, ``MISSING`` where a task's label is."""
        return self.space.encode(self.labels)

    @property
    def kinds(self) -> NDArray[np.int64]:
        """(N,) numbers, alike where all labels are alike: classes where those of incomplete labels are told apart."""
        return kinds_of(self.labels, self.space)

    def columns(self) -> dict[str, Column]:
        """The columns that are not None, by the name of their attribute."""
        found = {column.name: getattr(self, column.name) for column in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, np.ndarray | Strings)}

    def path(self, image: str) -> Path:
        """The file of one of ``images``."""
        root = self.root
        if self.roots is not None:
            part, _, image = image.partition("/")
            root = self.roots[part]
        if IN_TAR in image and is_member(path := root / image):
            return path
        return find_file(root, image)

    def paths(self) -> Files:
        """The paths of the images."""
        return Files(self.images, self.path)

    def take(self, indices: NDArray[np.int64]) -> Samples:
        """The samples at ``indices``, in that order."""
        taken: dict[str, Any] = {name: column[indices] for name, column in self.columns().items()}
        return replace(self, **taken)

    @classmethod
    def unlabelled(
        cls, space: LabelSpace, root: Path, images: Sequence[str] | Strings, groups: Sequence[str] | Strings
    ) -> Samples:
        """N samples without labels, in the given groups."""
        num = len(images)
        return cls(
            space,
            root,
            Strings.of(images),
            Strings.of(groups),
            np.full((num, space.num_tasks), MISSING, dtype=np.int64),
            np.full((num, space.num_tasks), np.nan),
            np.ones(num, dtype=np.float32),
            Strings.repeated("query", num),
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
        notes: Sequence[str] = (),
    ) -> Samples:
        """A table from raw values.

        Args:
            space: what the values are encoded by.
            root: the folder of the images.
            images: N relative paths.
            groups: N groups.
            values: per task, N raw values: class names, numbers for a binned task, None where unknown.
            source: provenance of all of them.
            notes: as the attribute.

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
                known = {
                    value: task.number(canonical(str(value))) for value, label in indices.items() if label != MISSING
                }
                numbers[:, column] = [known.get(value, np.nan) for value in values[task.name]]
        samples = cls(
            space,
            root,
            Strings.of(images),
            Strings.of(groups),
            labels,
            numbers,
            np.ones(num, dtype=np.float32),
            Strings.repeated(source, num),
            notes=tuple(notes),
        )
        samples.check_possible()
        return samples

    def check_possible(self) -> None:
        """Refuses images of a class that cannot occur, or with labels that only such classes have.

        Raises:
            UserError: there is one; it names the first.
        """
        if self.space.possible.all():
            return
        product = self.space.possible.reshape(self.space.sizes)
        kinds, labels = distinct_labels(self.labels, self.space)
        for number, kind in zip(kinds, labels, strict=True):
            if not product[tuple(slice(None) if label == MISSING else label for label in kind)].any():
                row = int(np.argmax(self.kinds == number))
                known = zip(self.space.tasks, kind, strict=True)
                name = "/".join(task.classes[label] for task, label in known if label != MISSING)
                raise UserError(
                    f"{self.path(self.images[row])}: is labelled {name!r}, which labels.impossible says cannot occur"
                )


def _narrow_labels(labels: Codes, space: LabelSpace) -> Codes:
    """The labels as ``labels_dtype``; ones that are no labels stay, for whoever checks them."""
    dtype = labels_dtype(space)
    fits = labels.dtype == dtype or (labels.min(initial=0) >= MISSING and labels.max(initial=0) < max(space.sizes))
    return labels.astype(dtype, copy=False) if fits else labels


def narrowest(numbers: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """The numbers as float32, if that changes none."""
    if numbers.dtype == np.float32:
        return numbers
    with np.errstate(over="ignore"):
        narrow = numbers.astype(np.float32)
    return narrow if np.array_equal(narrow, numbers, equal_nan=True) else numbers


@dataclass(frozen=True)
class Queries:
    """Images to be answered, in the order in which the answers are wanted.

    Attributes:
        ids: what the answer file calls them.
        paths: their files, one for each id; of many made on access, as ``Files`` does.
        id_column: what the answer file calls the ids.
        answers: ``index``: a column ``ans`` of class indices; ``names``: a column of names for every task, and one of
            the class.
        boxes: as those of ``Samples``.
        eyes: likewise.
        notes: likewise.
    """

    ids: Sequence[str] | Strings
    paths: Sequence[Path]
    id_column: str = "ImageID"
    answers: Literal["index", "names"] = "index"
    boxes: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    eyes: NDArray[np.float64] | None = None

    def table(self, classes: NDArray[np.int64], space: LabelSpace) -> Iterator[tuple[object, ...]]:
        """The answer file's header, and a row for each of the (N,) predicted classes."""
        if self.answers == "index":
            yield self.id_column, "ans"
            yield from zip(self.ids, classes.tolist(), strict=True)
            return
        column = self.id_column
        yield f"{column} of image" if column in space.task_names else column, *space.task_names, "class"
        for name, index, labels in zip(self.ids, classes, space.decode(classes), strict=True):
            names = (task.classes[label] for task, label in zip(space.tasks, labels, strict=True))
            yield name, *names, space.class_names[index]
