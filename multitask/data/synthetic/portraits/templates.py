"""Mask templates: images of masks on a transparent ground, and the six key points by which they are worn."""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multitask.data.image_file import open_image
from multitask.data.sources.csv_file import read_csv
from multitask.errors import UserError

KEY_POINTS = "abcdef"
"""Upper left, top, upper right, lower left, bottom, lower right, as MaskTheFace calls them."""
CONFIG = "masks.cfg"
"""MaskTheFace's file of key points, in the folder of templates or the one above."""
MAX_SIDE_PX = 1024
_OPAQUE = 128
_LEAST_SHARE = 0.01
"""Of the image, that must be mask and that must be ground."""
_STRAP = 0.06
"""Of the image's height: what is thinner is a strap, and no part of the outline."""


@dataclass(frozen=True)
class MaskTemplate:
    """A mask on a transparent ground.

    Attributes:
        name: its file's.
        pixels: (H, W, 4) uint8, RGB and alpha.
        points: (6, 2) x and y of its key points in pixels: upper left, top, upper right, lower left, bottom, lower
            right.
    """

    name: str
    pixels: NDArray[np.uint8]
    points: NDArray[np.float64]


def read_templates(folder: Path) -> list[MaskTemplate]:
    """The templates of a folder, by name.

    Key points are those of ``NAME.csv`` (a header ``x,y`` and six lines) beside ``NAME.png``, else those of
    MaskTheFace's ``masks.cfg``, else the outline's. Where there is a ``masks.cfg``, what it does not name is no
    template; views from a side are left out where the view from the front is there.

    Raises:
        UserError: there is no template, or one cannot be used.
    """
    if not folder.is_dir():
        raise UserError(f"--masks: {folder}: {'is no folder' if folder.exists() else 'no such folder'}")
    if (folder / CONFIG).is_file() and (folder / "templates").is_dir():  # as MaskTheFace's own folder is
        folder = folder / "templates"
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png" and path.name[0] != ".")
    listed = _listed(folder)
    if listed:
        files = [path for path in files if path.name in listed or path.with_suffix(".csv").exists()]
    stems = {path.stem for path in files}
    files = [path for path in files if not any(path.stem.removesuffix(side) in stems - {path.stem} for side in _SIDES)]
    if not files:
        among = f" that its {CONFIG} names" if listed else ""
        raise UserError(f"--masks: {folder}: holds no template, a PNG with a transparent ground{among}")
    return [_read(path, listed.get(path.name)) for path in files]


_SIDES = ("_left", "_right")


def _listed(folder: Path) -> dict[str, NDArray[np.float64]]:
    """The key points that a ``masks.cfg`` has, by the template's file name."""
    path = next((place / CONFIG for place in (folder, folder.absolute().parent) if (place / CONFIG).is_file()), None)
    if path is None:
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        return {
            Path(section["template"]).name: np.array(
                [[float(number) for number in section[f"mask_{point}"].split(",")] for point in KEY_POINTS]
            ).reshape(6, 2)
            for section in map(parser.__getitem__, parser.sections())
            if "template" in section
        }
    except KeyError as error:
        raise UserError(f"{path}: a template has no {error.args[0]}") from None
    except (OSError, ValueError, configparser.Error) as error:
        raise UserError(f"{path}: cannot be read as key points of templates: {str(error).splitlines()[0]}") from None


def _read(path: Path, points: NDArray[np.float64] | None) -> MaskTemplate:
    try:
        with open_image(path) as image:
            transparent = image.has_transparency_data
            pixels = np.asarray(image.convert("RGBA"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read as an image: {error}") from None
    opaque = pixels[..., 3] >= _OPAQUE
    if not transparent or opaque.mean() > 1 - _LEAST_SHARE:
        raise UserError(f"{path}: has no transparent ground; a template is a PNG of a mask with alpha around it")
    if opaque.mean() < _LEAST_SHARE:
        raise UserError(f"{path}: is all transparent; a template is a PNG of a mask with alpha around it")
    beside = path.with_suffix(".csv")
    if beside.exists():
        points = _key_points(beside)
    if points is None:
        points = _outline(opaque)
    height, width = opaque.shape
    outside = (points < -0.1 * width) | (points > 1.1 * max(width, height))
    spread = np.ptp(points, axis=0)
    if not np.isfinite(points).all() or outside.any() or spread[0] < 2 or spread[1] < 2:
        raise UserError(f"{path}: its key points are no part of its {width} x {height} pixels")
    scale = min(1.0, MAX_SIDE_PX / max(width, height))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    return MaskTemplate(path.name, pixels, points * scale)


def _key_points(path: Path) -> NDArray[np.float64]:
    """The six points of a CSV file."""
    rows = list(read_csv(path, ("x", "y")))
    if len(rows) != len(KEY_POINTS):
        raise UserError(
            f"{path}: must have six key points (upper left, top, upper right, lower left, bottom, lower right), found "
            f"{len(rows)}"
        )
    points = []
    for line, row in rows:
        try:
            points.append((float(row["x"]), float(row["y"])))
        except ValueError:
            raise UserError(f"{path}, line {line}: must be two numbers, found {row['x']!r}, {row['y']!r}") from None
    return np.array(points)


def _outline(opaque: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The key points of a silhouette: its edges where its upper half is widest, and lower down, without straps."""
    kernel = np.ones((max(1, round(_STRAP * opaque.shape[0])),) * 2)
    thick = cv2.morphologyEx(opaque.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0
    opaque = thick if thick.any() else opaque
    columns = np.flatnonzero(opaque.any(axis=0))
    middle = round(float(np.average(np.arange(opaque.shape[1]), weights=opaque.sum(axis=0))))
    middle = int(np.clip(middle, columns[0], columns[-1]))
    rows = np.flatnonzero(opaque[:, middle])
    if not len(rows):  # a mask with a hole in its middle
        rows = np.flatnonzero(opaque.any(axis=1))
    top, bottom = float(rows[0]), float(rows[-1])

    def edges(share: float) -> tuple[tuple[float, float], tuple[float, float]]:
        y = round(top + share * (bottom - top))
        gaps = np.flatnonzero(~opaque[y])
        left = gaps[gaps < middle].max(initial=-1) + 1
        right = gaps[gaps > middle].min(initial=opaque.shape[1]) - 1
        return (float(left), float(y)), (float(right), float(y))

    a, c = max((edges(share) for share in np.linspace(0.1, 0.45, 15)), key=lambda pair: pair[1][0] - pair[0][0])
    d, f = edges(0.7)
    return np.array([a, (middle, top), c, d, (middle, bottom), f])
