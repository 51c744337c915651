"""Boxes and eyes in the columns of a table, by their names, and the crop that they are for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.data.framing import spread
from multitask.data.headers import read_headers
from multitask.init.image_sizes import Sizes
from multitask.init.layouts import Observed
from multitask.utils.spelling import plural
from multitask.utils.strings import Strings

_CORNERS = ("left top right bottom", "xmin ymin xmax ymax", "x1 y1 x2 y2", "x0 y0 x1 y1")
_SIZED = ("left top width height", "x y w h", "x y width height", "x1 y1 width height", "xmin ymin width height")
_EYES = ("lefteyex lefteyey righteyex righteyey", "eyeleftx eyelefty eyerightx eyerighty")
_PREFIX = re.compile(r"(face)?(bbox|box|rect|face)?")
_LOOKED_AT = 200
_KNOWN = 0.5
"""The share of the images that must have them."""
_INSIDE = 0.95
"""The share of a sample in whose images they must lie, but for a few pixels at the edge."""
_EDGE = 0.05
_FACE_WIDTHS, _FACE_HEIGHTS = 2.0, 8 / 3
"""Of the distance between the eyes, as the crop ``align`` has it, at the shape 3 to 4."""


@dataclass(frozen=True, eq=False)
class Located:
    """A place in each of N images.

    Attributes:
        key: of the table source: ``box`` or ``eyes``.
        columns: that say it.
        as_read: the four of them in the order that the source asks for; None: they must be written anew.
        values: (N, 4) as of ``Samples.boxes`` or ``Samples.eyes``.
    """

    key: str
    columns: tuple[str, ...]
    as_read: tuple[str, ...] | None
    values: NDArray[np.float64]

    @property
    def crop(self) -> str:
        """The name of the crop that cuts to it."""
        return "box" if self.key == "box" else "align"

    @property
    def written(self) -> tuple[str, ...]:
        """The columns of a table that is written anew."""
        if self.key == "box":
            return "box_left", "box_top", "box_right", "box_bottom"
        return "right_eye_x", "right_eye_y", "left_eye_x", "left_eye_y"

    def sizes(self) -> Sizes:
        """The width and height of what the crop shows of a sample of the images."""
        known = self.values[~np.isnan(self.values).any(axis=1)]
        known = known[spread(len(known), _LOOKED_AT)]
        sides = known[:, 2:] - known[:, :2]
        if self.key == "eyes":
            sides = np.hypot(*sides.T)[:, None] * (_FACE_WIDTHS, _FACE_HEIGHTS)
        return Sizes(tuple((max(1, round(width)), max(1, round(height))) for width, height in sides.tolist()), 0)


def find_located(observed: Observed) -> tuple[Located | None, str]:
    """The eyes or boxes in the columns of a table, and a sentence where there are some that are not used.

    Eyes go before boxes, since ``align`` shows the same of every face. None, too, of a source that is no table.
    """
    if observed.source is not None and observed.source["name"] != "table":
        return None, ""
    problem = ""
    for found in _candidates(observed):
        if np.isnan(found.values).any(axis=1).mean() > _KNOWN:
            continue
        problem = _problem(observed, found)
        if not problem:
            return found, ""
    return None, problem


def _candidates(observed: Observed) -> list[Located]:
    plain = {re.sub(r"[^a-z0-9]", "", column.lower()): column for column in observed.columns}
    found = [_eyes(observed, columns) for names in _EYES if (columns := _all_of(plain, "", names))]
    prefixes = dict.fromkeys(match[0] for name in plain if (match := _PREFIX.match(name)))
    for prefix in sorted(prefixes, key=len, reverse=True):
        found += [_box(observed, columns, False) for names in _CORNERS if (columns := _all_of(plain, prefix, names))]
        found += [_box(observed, columns, True) for names in _SIZED if (columns := _all_of(plain, prefix, names))]
    return [one for one in found if one is not None]


def _all_of(plain: dict[str, str], prefix: str, names: str) -> tuple[str, ...]:
    """The columns of four names, with all letters small and nothing else; none unless all are there."""
    columns = tuple(plain.get(prefix + name, "") for name in names.split())
    return columns if all(columns) else ()


def _box(observed: Observed, columns: Sequence[str], sized: bool) -> Located | None:
    given = _numbers(observed, columns)
    if given is None:
        return None
    values = np.concatenate([given[:, :2], given[:, :2] + given[:, 2:]], axis=1) if sized else given.copy()
    values[~((values[:, 0] < values[:, 2]) & (values[:, 1] < values[:, 3]))] = np.nan
    return _located("box", columns, None if sized else tuple(columns), given, values)


def _eyes(observed: Observed, columns: Sequence[str]) -> Located | None:
    """Eyes; ``left`` may mean the face's or the image's, so which is which is told by where they are."""
    given = _numbers(observed, columns)
    if given is None:
        return None
    mirrored = bool(np.nanmedian(given[:, 0] - given[:, 2]) > 0) if not np.isnan(given).all() else False
    order = [2, 3, 0, 1] if mirrored else [0, 1, 2, 3]
    values = given[:, order].copy()
    values[(values[:, :2] == values[:, 2:]).all(axis=1) | np.isnan(values).any(axis=1)] = np.nan
    return _located("eyes", columns, tuple(columns[place] for place in order), given[:, order], values)


def _located(
    key: str,
    columns: Sequence[str],
    as_read: tuple[str, ...] | None,
    given: NDArray[np.float64],
    values: NDArray[np.float64],
) -> Located:
    """What was found; not to be read as it is where some of it is taken for unknown."""
    if not np.array_equal(given, values, equal_nan=True):
        as_read = None
    return Located(key, tuple(columns), as_read, values)


def _numbers(observed: Observed, columns: Sequence[str]) -> NDArray[np.float64] | None:
    """(N, 4) the numbers in columns, NaN where a cell is empty; None: some cell is no number."""
    import pandas as pd

    found = []
    for column in columns:
        cells = Strings.of(observed.columns[column])
        words = pd.Series(cells.distinct(), dtype=object)
        numbers = pd.to_numeric(words, errors="coerce").to_numpy(dtype=np.float64)
        if (np.isnan(numbers) & (words != "").to_numpy()).any() or np.isinf(numbers).any():
            return None
        found.append(numbers[cells.numbers()])
    return np.stack(found, axis=1)


def _problem(observed: Observed, found: Located) -> str:
    """Why places are not used, a sentence: they are not of these images; empty: they are."""
    known = np.flatnonzero(~np.isnan(found.values).any(axis=1))
    rows = known[spread(len(known), _LOOKED_AT)]
    headers = read_headers([observed.root / observed.images[row] for row in rows])
    pairs = [(found.values[row], header) for row, header in zip(rows, headers, strict=True) if header is not None]
    if not pairs:
        return ""
    values = np.stack([value for value, _ in pairs])
    size = np.array([(header.width_px, header.height_px) for _, header in pairs])
    low, high = np.minimum(values[:, :2], values[:, 2:]), np.maximum(values[:, :2], values[:, 2:])
    inside = ((low >= -_EDGE * size) & (high <= (1 + _EDGE) * size)).all(axis=1)
    what = f"the {'boxes' if found.key == 'box' else 'eyes'} in {', '.join(found.columns)}"
    if high.max() <= 1:
        return f"{what} are shares of the image, where a crop needs pixels: they are not used"
    if inside.mean() < _INSIDE:
        return (
            f"{what} lie outside of {np.sum(~inside):,} of {plural(len(inside), 'image', 'images')}: they are of "
            "others, and not used"
        )
    return ""
