"""The table of portraits: a CSV or Parquet file with path, age, gender and, where they are known, five landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multitask.data.sources import cells
from multitask.data.sources.csv_file import MissingColumnError, find_delimiter
from multitask.data.synthetic.portraits.face import facing
from multitask.errors import UserError
from multitask.utils.spelling import canonical, find_file

COLUMNS = ("path", "age", "gender")
POINTS = tuple(
    f"{point}_{axis}" for point in ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth") for axis in "xy"
)
"""The columns of landmarks, in pixels of the upright image; right is the person's, as YuNet has it."""
OLDEST = 120
_GENDERS = {"male": "male", "m": "male", "man": "male", "female": "female", "f": "female", "woman": "female"}


@dataclass(frozen=True)
class Portrait:
    """One person's portrait.

    Attributes:
        row: its place in the table, from 0.
        name: its path as the table has it.
        path: of the file.
        gender: male or female.
        age: in full years.
        points: (5, 2) landmarks in pixels of the upright image; None: unknown.
    """

    row: int
    name: str
    path: Path
    gender: str
    age: int
    points: NDArray[np.float64] | None


def read_portraits(table: Path) -> list[Portrait]:
    """The rows of a table, in its order; paths are relative to its folder.

    Raises:
        UserError: the table cannot be read, lacks a column or rows, or a row is malformed, names no file, or one that
            another row has.
    """
    delimiter = "," if table.suffix.lower() == ".parquet" else find_delimiter(table, COLUMNS[0])
    with_points = _has_points(table, delimiter)
    columns = (*COLUMNS, *(POINTS if with_points else ()))
    portraits: list[Portrait] = []
    first: dict[Path, int] = {}
    for number, row in cells.rows(table, columns, delimiter, "utf-8"):
        try:
            portrait = _portrait(len(portraits), table.parent, row, with_points)
            if portrait.path in first:
                raise UserError(f"path: {portrait.name} stands in {cells.unit(table)} {first[portrait.path]} too")
        except UserError as error:
            raise UserError(f"{table}, {cells.unit(table)} {number}: {error}") from None
        first[portrait.path] = number
        portraits.append(portrait)
    if not portraits:
        raise UserError(f"{table}: holds no rows")
    return portraits


def _has_points(table: Path, delimiter: str) -> bool:
    """Whether the table has columns of landmarks.

    Raises:
        UserError: it has some of them.
    """
    lacking = []
    for column in POINTS:
        try:
            next(iter(cells.rows(table, [column], delimiter, "utf-8")), None)
        except MissingColumnError:
            lacking.append(column)
    if lacking and len(lacking) < len(POINTS):
        raise UserError(f"{table}: has some of the ten columns of landmarks, but not {lacking[0]!r}")
    return not lacking


def _portrait(row: int, folder: Path, cells_of: Mapping[str, Any], with_points: bool) -> Portrait:
    name = cells.text(cells_of["path"]).strip()
    if not name:
        raise UserError("path: is empty")
    path = find_file(folder, name)
    if not path.is_file():
        raise UserError(f"path: {path}: no such file")
    word = canonical(cells.text(cells_of["gender"]))
    gender = _GENDERS.get(word.casefold())
    if gender is None:
        raise UserError(f"gender: must be male or female, found {word!r}")
    age = cells.number(cells_of, "age")
    if not 0 <= age <= OLDEST:  # NaN, of an empty cell, too
        raise UserError(f"age: must be a number of years from 0 to {OLDEST}, found {cells.text(cells_of['age'])!r}")
    return Portrait(row, name, path, gender, int(age), _points(cells_of) if with_points else None)


def _points(cells_of: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """The landmarks; None where all their cells are empty."""
    points = np.array([cells.number(cells_of, column) for column in POINTS]).reshape(5, 2)
    if np.isnan(points).all():
        return None
    if np.isnan(points).any():
        raise UserError(f"{POINTS[int(np.isnan(points).argmax())]}: is empty, where other landmarks are known")
    if not facing(points):
        raise UserError(
            f"{POINTS[0]} to {POINTS[-1]}: are no face seen from the front: as one looks at it, the person's right eye "
            "is to the left, and the mouth below"
        )
    return points
