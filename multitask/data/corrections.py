"""Label corrections: what is known to be wrong in the data, as data that says why, from whom, and how sure it is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from multitask.data.samples import SIDES, Samples
from multitask.data.sources.csv_file import read_csv
from multitask.errors import UserError, nearest
from multitask.labels import MISSING, Task
from multitask.settings import Bool, ConfigPath, Settings, validate
from multitask.settings.yaml_text import read_yaml
from multitask.utils.spelling import Name, canonical_path, parse_number

Tier = Literal["strong", "medium", "weak", "contested"]
TIERS: tuple[Tier, ...] = ("strong", "medium", "weak", "contested")
"""How sure a correction is, the surest first."""

DROP = "drop"
"""The field of a correction that takes pictures out."""

Text = Annotated[Name, BeforeValidator(lambda value: str(value) if isinstance(value, float) else value)]
"""A number is what it is written as."""
Words = Annotated[Name, Field(min_length=1)]


class CorrectionsSettings(Settings):
    """The ``data.corrections`` section."""

    files: Annotated[tuple[ConfigPath, ...], Field(min_length=1)]
    """YAML files of corrections, applied in this order."""
    tier: Tier = "strong"
    """The lowest that is applied; those above it are too."""
    missing: Literal["error", "ignore"] = "error"
    """What becomes of a correction of pictures, or a task, that the data lacks; ignore: it is known to be a part."""
    test: Bool = False
    """Whether pictures that the source says test are corrected too; else their labels stay those of the source."""


class Correction(Settings):
    """One correction.

    With a path or id of several pictures it is of those among them that have the label ``from``. All corrections look
    at the labels as the source gives them, so that none depends on another.
    """

    path: Words | None = None
    """A picture's path, a folder's, or a group's name."""
    id: Text | None = None
    """What the source calls the picture, or its group; it must be of one group."""
    field: Words
    """The task whose label is wrong; or ``drop``."""
    from_: Annotated[Text | None, Field(alias="from")] = None
    """The label that is there: a class name; of a binned task a number, or a range: ``<30``, ``>=30``, ``30-60``."""
    to: Text | None = None
    """The right one, likewise; a range must lie inside one class, and leaves the number unknown."""
    both: bool = False
    """Whether ``to`` is wrong too, and ``from`` the right one: the two were swapped."""
    reason: Words
    source: Words
    """Who says so."""
    tier: Tier

    @model_validator(mode="after")
    def _check(self) -> Correction:
        if (self.path is None) == (self.id is None):
            raise ValueError("path: must be given, or id, and not both")
        if self.field == DROP and (self.from_ is not None or self.to is not None or self.both):
            raise ValueError("field: drop takes pictures out; from and to would be ignored")
        if self.field != DROP and (self.from_ is None or self.to is None):
            raise ValueError("from: must be given, and to, unless field is drop")
        if self.from_ is not None and self.from_ == self.to:
            raise ValueError(f"to: is what from is, {self.to!r}")
        return self

    @property
    def about(self) -> str:
        """Whom it is of, in words."""
        return f"path {self.path!r}" if self.path is not None else f"id {self.id!r}"


class _File(Settings):
    """A YAML file of corrections."""

    corrections: tuple[Correction, ...]


@dataclass(frozen=True)
class Corrected:
    """What was done.

    Attributes:
        samples: the corrected ones.
        kept: (N,) which of the pictures these are: all but those that are dropped.
        record: for the run's folder: the corrections that were applied, with the number of pictures that each changed,
            those of pictures that the data does not have, and those of pictures that test and were left alone.
    """

    samples: Samples
    kept: NDArray[np.int64]
    record: dict[str, Any]


def read_corrections(path: Path) -> list[tuple[str, Correction]]:
    """The corrections of a YAML or CSV file, each with its place in words.

    Raises:
        UserError: the file cannot be read, or one of them is malformed.
    """
    if path.suffix.lower() in (".yaml", ".yml"):
        data = read_yaml(path)
        try:
            found = validate(_File, data).corrections
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        return [(f"{path}: corrections.{index}", row) for index, row in enumerate(found)]
    if path.suffix.lower() != ".csv":
        raise UserError(f"{path}: corrections must end in .yaml, .yml or .csv")
    rows = []
    for line, cells in read_csv(path, ("field", "from", "to", "reason", "source", "tier")):
        where = f"{path}, line {line}"
        if "path" not in cells and "id" not in cells:
            raise UserError(f"{path}: has no column 'path' and no column 'id'")
        given: dict[str, Any] = {key: cell for key, cell in cells.items() if cell.strip()}
        if given.pop("both", "false") not in ("true", "false"):
            raise UserError(f"{where}: both must be true or false, found {cells['both']!r}")
        given |= {"both": True} if cells.get("both") == "true" else {}
        try:
            rows.append((where, validate(Correction, given)))
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
    return rows


def correct(samples: Samples, settings: CorrectionsSettings) -> Corrected:
    """The samples with the corrections of a config.

    Raises:
        UserError: a file is malformed, or one of its corrections does not fit the data; the line names it.
    """
    tiers = TIERS[: TIERS.index(settings.tier) + 1]
    chosen = [
        (file, where, correction)
        for file in settings.files
        for where, correction in read_corrections(Path(file))
        if correction.tier in tiers
    ]
    finder = _Finder(samples, [correction for _, _, correction in chosen])
    labels, numbers = samples.labels.copy(), samples.numbers.copy()
    kept = np.ones(len(samples), dtype=bool)
    changed = np.zeros(labels.shape, dtype=bool)
    applied: list[dict[str, Any]] = []
    absent: list[dict[str, Any]] = []
    of_test: list[dict[str, Any]] = []
    for file, where, correction in chosen:
        told = {"file": file, **correction.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
        try:
            rows = finder.rows(correction)
            lacking = finder.lacking(correction, rows)
            if lacking:
                if settings.missing == "error":
                    raise UserError(lacking)
                absent.append(told)
                continue
            if not settings.test and samples.sides is not None:
                rows = rows[samples.sides[rows] != SIDES.index("test")]
                if not len(rows):
                    of_test.append(told)
                    continue
            if correction.field == DROP:
                kept[rows] = False
            else:
                rows = _relabel(samples, correction, rows, labels, numbers, changed)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        applied.append({**told, "num_images": len(rows)})
    corrected = replace(samples, labels=labels, numbers=numbers)
    if not kept.any():
        raise UserError("data.corrections: drop every picture")
    corrected = corrected if kept.all() else corrected.take(np.flatnonzero(kept))
    corrected.check_possible()
    record = {"tier": settings.tier, "applied": applied, "absent": absent, **({"test": of_test} if of_test else {})}
    return Corrected(corrected, np.flatnonzero(kept), record)


def _relabel(
    samples: Samples,
    correction: Correction,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    numbers: NDArray[np.float64],
    changed: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Corrects those of the pictures that have the wrong label; returns them."""
    column = samples.space.task_names.index(correction.field)
    task = samples.space.tasks[column]
    old, new = _Value(task, str(correction.from_)), _Value(task, str(correction.to))
    ways = [(old, new), (new, old)] if correction.both else [(old, new)]
    found = [rows[wrong.holds(samples.labels[rows, column], samples.numbers[rows, column])] for wrong, _ in ways]
    those = np.concatenate(found)
    if not len(those):
        has = " and ".join(sorted({_told(task, samples, row, column) for row in rows}))
        must = " or ".join(repr(wrong.text) for wrong, _ in ways)
        raise UserError(f"{correction.field} of {correction.about} must be {must}, found {has}")
    if changed[those, column].any():
        image = samples.images[those[np.argmax(changed[those, column])]]
        raise UserError(f"{correction.field} of {image!r} is corrected by another one too")
    changed[those, column] = True
    for (_, right), some in zip(ways, found, strict=True):
        if len(some):
            labels[some, column], numbers[some, column] = right.label(), right.number
    return those


def _told(task: Task, samples: Samples, row: int, column: int) -> str:
    """What a picture's label is, in words."""
    number, label = samples.numbers[row, column], samples.labels[row, column]
    if task.kind == "binned" and not math.isnan(number):
        return format(number, "g")
    return "nothing" if label == MISSING else repr(task.classes[label])


class _Value:
    """A label as a correction writes it: a class or, of a binned task, the numbers from ``low`` to below ``high``.

    Attributes:
        text: as it is written.
        number: the one number that it is; NaN where it is several, or none.

    Raises:
        UserError: the task has no such label.
    """

    def __init__(self, task: Task, text: str) -> None:
        self.task = task
        self.text = text
        self._range: tuple[float, float] | None = None
        self._class: int | None = None
        if text in task.classes:
            self._class = task.classes.index(text)
        elif task.kind == "binned":
            self._range = _range(task, text)
        else:
            raise UserError(f"{task.name}: unknown class {text!r}{nearest(text, task.classes)}")
        self.number = self._range[0] if self._range is not None and self._range[0] == self._range[1] else math.nan

    def label(self) -> int:
        """The class that it is.

        Raises:
            UserError: it is a range with numbers of several.
        """
        if self._range is None:
            assert self._class is not None
            return self._class
        low, high = self._range
        first = int(np.searchsorted(self.task.edges, low, side="right"))
        last = first if low == high else int(np.searchsorted(self.task.edges, high, side="left"))
        if first != last:
            raise UserError(f"{self.task.name}: {self.text!r} is not inside one of {', '.join(self.task.classes)}")
        return first

    def holds(self, labels: NDArray[np.int64], numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) whether each of n labels, with the numbers behind them, is this one."""
        if self._range is None:
            return np.asarray(labels == self._class)
        low, high = self._range
        return np.asarray(numbers == low if low == high else (numbers >= low) & (numbers < high))


_N = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_RANGE = re.compile(rf"<{_N}|>={_N}|{_N}\s*-{_N}|{_N}", re.ASCII)


def _range(task: Task, text: str) -> tuple[float, float]:
    """From, and below which, numbers of a binned task are meant; twice the same for one number.

    Raises:
        UserError: the text is none of these, or the task cannot have the number.
    """
    found = _RANGE.fullmatch(text)
    numbers = [math.nan if part is None else parse_number(part) for part in found.groups()] if found else []
    given = [number for number in numbers if not math.isnan(number)]
    if not found or len(given) != 2 - (found[3] is None):  # what is too large for a float is no number
        raise UserError(
            f"{task.name}: unknown class {text!r}; it can be {', '.join(task.classes)}, a number, or a range as <30, "
            ">=30 or 30-60"
        )
    below, at_least, low, high, one = numbers
    if found[3] is not None and low >= high:
        raise UserError(f"{task.name}: a range must rise, found {text!r}")
    for number in given:
        task.check_number(number)
    if not math.isnan(below):
        return -math.inf, below
    if not math.isnan(at_least):
        return at_least, math.inf
    return (one, one) if found[3] is None else (low, high)


class _Finder:
    """Finds the pictures that corrections are of."""

    def __init__(self, samples: Samples, corrections: Sequence[Correction]) -> None:
        self.samples = samples
        # Only what is asked for: of a million pictures all folders, groups and ids would fill the memory.
        asked = [_asked_path(row) for row in corrections]
        self._by_path: dict[str, list[int]] = {path: [] for path in asked if path}
        self._by_id: dict[str, list[int]] = {row.id: [] for row in corrections if row.id is not None}
        if self._by_path:
            for row, (image, group) in enumerate(zip(samples.images, samples.groups, strict=True)):
                for name in {group, *_and_folders(canonical_path(image))} & self._by_path.keys():
                    self._by_path[name].append(row)
        if self._by_id and samples.ids is not None:
            for row, name in enumerate(samples.ids):  # canonical, as groups are
                if name in self._by_id:
                    self._by_id[name].append(row)

    def rows(self, correction: Correction) -> NDArray[np.int64]:
        """The pictures of a correction; none where the data has none.

        Raises:
            UserError: the data has no ids, or this one is of several groups.
        """
        if correction.path is not None:
            return np.array(self._by_path[_asked_path(correction)], dtype=np.int64)
        assert correction.id is not None
        if self.samples.ids is None:
            raise UserError(f"{correction.about}: the data has no ids; name a path")
        rows = np.array(self._by_id[correction.id], dtype=np.int64)
        groups = sorted(set(self.samples.groups[rows]))
        if len(groups) > 1:
            raise UserError(f"{correction.about}: is of {len(groups)} groups, {' and '.join(groups[:3])}; name a path")
        return rows

    def lacking(self, correction: Correction, rows: NDArray[np.int64]) -> str | None:
        """What the data does not have of what a correction is of, and the nearest that it has; None if it has all."""
        fields = (*self.samples.space.task_names, DROP)
        if correction.field not in fields:
            return f"field {correction.field!r} is no task{nearest(correction.field, fields)}"
        if len(rows):
            return None
        if correction.id is not None:
            known = set() if self.samples.ids is None else set(self.samples.ids)
        else:
            known = set(self.samples.groups) | set(self.samples.images)
        return f"the data has no {correction.about}{nearest(str(correction.path or correction.id), known)}"


def _asked_path(correction: Correction) -> str:
    return canonical_path((correction.path or "").rstrip("/"))


def _and_folders(image: str) -> Iterator[str]:
    """A picture's path, and those of the folders that it is in."""
    while image:
        yield image
        image = image.rpartition("/")[0]
