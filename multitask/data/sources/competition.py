"""The mask competition's layout: a folder of seven images per person, labelled by file name and by ``train.csv``."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from multitask.data.formats import SUFFIXES, SUFFIXES_TEXT
from multitask.data.samples import Files, Queries, Samples
from multitask.data.sources.base import RootedSettings, check_there, inside
from multitask.data.sources.csv_file import read_csv
from multitask.errors import UserError, nearest
from multitask.labels import LabelSpace
from multitask.utils.spelling import canonical, canonical_path, find_file
from multitask.utils.strings import Strings

MASK_OF_STEM = {
    "mask1": "wear",
    "mask2": "wear",
    "mask3": "wear",
    "mask4": "wear",
    "mask5": "wear",
    "incorrect_mask": "incorrect",
    "normal": "not_worn",
}
"""The mask state of each of a person's images; in this order they become samples."""

FIELDS = ("mask", "gender", "race", "age")
"""The fields of an image in this layout; a task takes the field of its name."""


class CompetitionLayout(RootedSettings):
    """``train/train.csv`` and ``train/images/{path}/{mask1..5,incorrect_mask,normal}``; ``eval/info.csv``."""

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """Seven samples per row of ``train.csv``. ``path`` is the person: ``id`` is shared by several."""
        for name in space.task_names:
            if name not in FIELDS:
                raise UserError(f"labels.tasks.{name}: the competition layout has no such field{nearest(name, FIELDS)}")
        table = root / "train" / "train.csv"
        values: dict[str, list[Any]] = {field: [] for field in FIELDS}
        images: list[str] = []
        groups: list[str] = []
        ids: list[str] = []
        lines: dict[str, int] = {}
        for line, row in read_csv(table, ("path", "gender", "race", "age")):
            where = f"{table}, line {line}"
            group = canonical_path(inside(row["path"], f"{where}: path"))
            if group in lines:
                raise UserError(f"{where}: path {group!r} stands in line {lines[group]} too")
            lines[group] = line
            labels = {field: row[field] for field in FIELDS if field != "mask"}
            for task in space.tasks:
                if task.name in labels:
                    try:
                        task.index(labels[task.name])
                    except UserError as error:
                        raise UserError(f"{where}: {error}") from None
            folder = find_file(root, f"train/images/{group}")
            files = find_images(folder, where)
            for stem, mask in MASK_OF_STEM.items():
                images.append(f"{folder.relative_to(root).as_posix()}/{files[stem]}")
                groups.append(group)
                ids.append(canonical(row.get("id", "")))
                values["mask"].append(mask)
                for field, value in labels.items():
                    values[field].append(value)
        if not images:
            raise UserError(f"{table}: holds no people")
        self.links(root).check_images(images)
        samples = Samples.from_values(space, root, images, groups, values, self.name)
        return replace(samples, ids=Strings.of(ids))

    def queries(self, root: Path) -> Queries:
        """The rows of ``eval/info.csv``, in its order."""
        table = root / "eval" / "info.csv"
        ids: list[str] = []
        lines: dict[str, int] = {}
        for line, row in read_csv(table, ("ImageID",)):
            image = canonical_path(inside(row["ImageID"], f"{table}, line {line}: ImageID"))
            if image in lines:
                raise UserError(f"{table}, line {line}: {image!r} stands in line {lines[image]} too")
            lines[image] = line
            ids.append(row["ImageID"])
        if not ids:
            raise UserError(f"{table}: holds no images to answer")
        images = Strings.of(f"eval/images/{image}" for image in lines)
        self.links(root).check_images(images)
        paths = Files(images, partial(find_file, root))
        check_there(paths, str(table))
        return Queries(tuple(ids), paths)

    def answered(self, root: Path, space: LabelSpace) -> Samples:
        """``queries`` with the classes of ``answers.csv``, which only sets with known answers have."""
        queries = self.queries(root)
        table = root / "answers.csv"
        classes: dict[str, int] = {}
        groups: dict[str, str] = {}
        for line, row in read_csv(table, ("ImageID", "ans")):
            if not row["ans"].isdecimal() or int(row["ans"]) >= space.num_classes:
                raise UserError(
                    f"{table}, line {line}: ans must be a class from 0 to {space.num_classes - 1}, found {row['ans']!r}"
                )
            image = canonical_path(row["ImageID"])
            classes[image] = int(row["ans"])
            groups[image] = canonical(row.get("group", image))
        asked = [canonical_path(image) for image in queries.ids]
        unanswered = [image for image in asked if image not in classes]
        if unanswered:
            raise UserError(f"{table}: has no answer for {unanswered[0]!r} ({len(unanswered):,} lack one)")
        labels = space.decode(np.array([classes[image] for image in asked]))
        num = len(labels)
        return Samples(
            space,
            root,
            Strings.of(path.relative_to(root).as_posix() for path in queries.paths),
            Strings.of(groups[image] for image in asked),
            labels,
            np.full(labels.shape, np.nan),
            np.ones(num, dtype=np.float32),
            Strings.repeated(self.name, num),
        )


class CompetitionSettings(CompetitionLayout):
    """The competition's own data."""

    name: Literal["competition"] = "competition"


def find_images(folder: Path, where: str) -> dict[str, str]:
    """The file of each of a person's images: stem -> file name, whatever its extension.

    Raises:
        UserError: the folder is missing, or an image is there not once but never or twice.
    """
    found: dict[str, list[str]] = {stem: [] for stem in MASK_OF_STEM}
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{where}: has no folder {folder}") from None
    except OSError as error:
        raise UserError(f"{where}: cannot read the folder {folder}: {error.strerror}") from None
    for name in names:
        stem, extension = os.path.splitext(name)
        # macOS leaves a file ._mask1.jpg beside a file; it is no image.
        if not name.startswith(".") and stem in found and extension.lower() in SUFFIXES:
            found[stem].append(name)
    for stem, files in found.items():
        if len(files) != 1:
            count = "none" if not files else " and ".join(files)
            raise UserError(f"{folder}: must hold one image {stem!r} ({SUFFIXES_TEXT}), found {count}")
    return {stem: files[0] for stem, files in found.items()}
