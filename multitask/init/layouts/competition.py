"""The mask competition: a folder of seven images for each row of a table."""

from __future__ import annotations

from pathlib import Path

from multitask.data.sources.competition import FIELDS, MASK_OF_STEM, find_images
from multitask.data.sources.csv_file import read_csv
from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.utils.spelling import find_file

CLASSES = {"mask": ("wear", "incorrect", "not_worn"), "gender": ("male", "female")}
EDGES = {"age": (30.0, 60.0)}
"""With these, classes are numbered as its submissions number them."""


class Competition(Layout):
    """``train/train.csv`` and ``train/images/{path}/{mask1..5,incorrect_mask,normal}.*``."""

    title = "the mask competition"

    def fits(self) -> bool:
        """Whether a table and the images stand where they do in the competition, below the path or its parent."""
        return _root(self.path) is not None

    def observe(self, options: Options) -> Observed:
        """Seven images of each row."""
        root = _root(self.path)
        assert root is not None, "else it does not fit"
        table = root / "train" / "train.csv"
        images: list[str] = []
        columns: dict[str, list[str]] = {field: [] for field in (*FIELDS, "group")}
        for line, row in read_csv(table, ("path", "gender", "race", "age")):
            where = f"{table}, line {line}"
            folder = find_file(root, f"train/images/{row['path']}")
            files = find_images(folder, where)
            for stem, mask in MASK_OF_STEM.items():
                images.append(f"{folder.relative_to(root).as_posix()}/{files[stem]}")
                said = {**row, "mask": mask, "group": row["path"]}
                for field, words in columns.items():
                    words.append(said[field])
        if not images:
            raise UserError(f"{table}: holds no rows")
        return Observed(
            root,
            images,
            columns,
            {"name": "competition"},
            labels=("mask", "gender", "age"),
            group="group",
            classes=CLASSES,
            edges=EDGES,
            whole=True,
            assumed=("labels and classes are the competition's: mask x gender x age, numbered as submissions are",),
        )


def _root(path: Path) -> Path | None:
    for root in (path, path.parent):
        if (root / "train" / "train.csv").is_file() and (root / "train" / "images").is_dir():
            return root if path in (root, root / "train") else None
    return None
