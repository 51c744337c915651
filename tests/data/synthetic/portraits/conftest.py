"""Portraits that are drawn with known landmarks, and templates that are drawn with a transparent ground."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from multitask.data.synthetic.portraits.table import POINTS

LANDMARKS = np.array([(46.0, 60), (74, 60), (60, 77), (48, 88), (72, 88)])
SKIN = (220, 170, 140)
AGES = {"male": (20, 40, 70), "female": (25, 50, 66)}


def paint_face(path: Path, shade: int = 0) -> None:
    """120 x 150 pixels: a face of one colour on grey, with eyes and a mouth at ``LANDMARKS``."""
    pixels = np.full((150, 120, 3), 90 + shade, np.uint8)
    cv2.ellipse(pixels, (60, 70), (31, 42), 0, 0, 360, SKIN, -1)
    for x, y in LANDMARKS[:2].astype(int).tolist():
        cv2.circle(pixels, (x, y), 4, (30, 30, 40), -1)
    cv2.ellipse(pixels, (60, 88), (12, 3), 0, 0, 360, (170, 60, 60), -1)
    Image.fromarray(pixels).save(path)


def paint_template(path: Path, colour: tuple[int, int, int]) -> None:
    """A mask's outline with straps, on a transparent ground."""
    pixels = np.zeros((100, 140, 4), np.uint8)
    outline = np.array([(20, 20), (70, 5), (120, 20), (116, 70), (70, 95), (24, 70)])
    cv2.fillPoly(pixels, [outline], (*colour, 255))
    for x in (0, 120):
        cv2.line(pixels, (x, 24), (x + 20, 24), (240, 240, 240, 255), 2)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a table of painted portraits with landmarks; ``people`` of each gender and age, ``change`` of the rows."""

    def make(people: int = 1, change: Callable[[list[dict[str, Any]]], Any] | None = None) -> Path:
        folder = tmp_path / "photos"
        folder.mkdir(exist_ok=True)
        rows: list[dict[str, Any]] = []
        for gender, ages in AGES.items():
            for age in ages * people:
                name = f"{len(rows):03d}.png"
                paint_face(folder / name, len(rows))
                points = dict(zip(POINTS, LANDMARKS.ravel().tolist(), strict=True))
                rows.append({"path": name, "age": age, "gender": gender, **points})
        if change is not None:
            change(rows)
        path = folder / "people.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return make


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A folder of two templates, one pure blue and one pure green."""
    folder = tmp_path / "masks"
    folder.mkdir()
    paint_template(folder / "blue.png", (0, 0, 255))
    paint_template(folder / "green.png", (0, 255, 0))
    return folder
