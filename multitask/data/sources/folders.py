"""Samples from folders whose names carry the labels."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import model_validator

from multitask.data.samples import Queries, Samples
from multitask.data.sources.base import RootedSettings, inside
from multitask.data.sources.listing import list_images
from multitask.data.sources.split_words import SplitWords
from multitask.errors import UserError, nearest
from multitask.labels import LabelSpace
from multitask.utils.spelling import Spellings, canonical_path

GROUP = "group"
SPLIT = "split"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class FoldersSettings(RootedSettings):
    """Every image under a folder; the path of its own folder says its labels, as a pattern has it."""

    name: Literal["folders"] = "folders"
    pattern: str
    """As ``{suit}/{rank}`` or ``{colour}_{garment}``: what folders are called, with a task's name in braces where its
    label stands (of a binned task, a number). ``{group}`` is who must stay together; without it each image is on its
    own. ``{split}``, as in ``{split}/{suit}/{rank}``, says who trains, validates and tests; else that is random."""
    splits: SplitWords = SplitWords()
    """By which words ``{split}`` says so."""
    folder: str = "train"
    """Where the folders are, in the data root; ``.``: in the root itself, as by default where there is ``{split}``."""
    query_folder: str = "eval"
    """Where the images to be answered are, in the data root, in whatever folders."""

    @model_validator(mode="after")
    def _check(self) -> FoldersSettings:
        for key in ("folder", "query_folder"):
            if getattr(self, key) != ".":
                inside(getattr(self, key), key)
        names = _PLACEHOLDER.findall(self.pattern)
        if SPLIT in names and "folder" not in self.model_fields_set:
            object.__setattr__(self, "folder", ".")
        if SPLIT not in names and self.splits != SplitWords():
            raise ValueError(f"splits: would be ignored, since {{split}} is not in the pattern {self.pattern!r}")
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"pattern: {{{name}}} stands twice in {self.pattern!r}")
        object.__setattr__(self, "pattern", canonical_path(self.pattern))
        if re.search(r"[{}]", _PLACEHOLDER.sub("", self.pattern)):
            raise ValueError(f"pattern: must have a task's name in each pair of braces, found {self.pattern!r}")
        if self.pattern != self.pattern.strip("/") or not self.pattern:
            raise ValueError(f"pattern: must be a path of folders such as {{suit}}/{{rank}}, found {self.pattern!r}")
        return self

    @property
    def says_sides(self) -> bool:
        """Whether the pattern has ``{split}``, with words for validation."""
        return SPLIT in _PLACEHOLDER.findall(self.pattern) and self.splits.says_val

    def check(self, space: LabelSpace) -> None:
        """The pattern names every task, and nothing else but the group and the split."""
        names = _PLACEHOLDER.findall(self.pattern)
        if SPLIT in names and SPLIT in space.task_names:
            raise UserError("pattern: {split} says who trains, validates and tests; give the task another name")
        for name in names:
            if name not in (*space.task_names, GROUP, SPLIT):
                near = nearest(name, (*space.task_names, GROUP, SPLIT))
                raise UserError(f"pattern: labels.tasks has no task {name!r}{near}")
        for name in space.task_names:
            if name not in names:
                raise UserError(f"pattern: says nothing of {name}; {{{name}}} must stand in {self.pattern!r}")

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """The images under ``folder``, in the order of their paths."""
        return self._labelled(root, self.folder, self.pattern, space)

    def queries(self, root: Path) -> Queries:
        """The images under ``query_folder``, in the order of their paths, which are what the answers call them."""
        folder = root / self.query_folder
        found = list_images(folder, self.links(root))
        images = [f"{where}/{name}" if where else name for where, name in found.images]
        paths = tuple(folder / image for image in images)
        return Queries(tuple(images), paths, "path", "names", notes=found.notes)

    def answered(self, root: Path, space: LabelSpace) -> Samples:
        """The images under ``query_folder``, whose folders must say their labels; they are in no split."""
        return self._labelled(root, self.query_folder, self.pattern.replace(f"{{{SPLIT}}}/", "", 1), space)

    def _labelled(self, root: Path, folder: str, pattern: str, space: LabelSpace) -> Samples:
        prefix = "" if folder == "." else f"{inside(folder, 'folder')}/"
        match = _Match(pattern, space, self.splits)
        spellings = Spellings("folders", tuple(name for task in space.tasks for name in task.classes))
        known: dict[str, dict[str, str]] = {}
        images: list[str] = []
        groups: list[str] = []
        sides: list[int] = []
        values: dict[str, list[str]] = {task: [] for task in space.task_names}
        listing = list_images(root / folder, self.links(root))
        for where, name in listing.images:
            if where not in known:
                spelt = "/".join(spellings.read(part) for part in where.split("/"))
                known[where] = match(spelt, root / folder)
            image = f"{prefix}{where}/{name}"
            images.append(image)
            groups.append(known[where].get(GROUP, image))
            if SPLIT in known[where]:
                sides.append(self.splits.side(known[where][SPLIT]))
            for task, found in values.items():
                found.append(known[where][task])
        notes = (*spellings.notes(), *listing.notes)
        samples = Samples.from_values(space, root, images, groups, values, self.name, notes)
        samples = replace(samples, other_files=listing.others)
        return replace(samples, sides=np.array(sides, dtype=np.int64)) if sides else samples


class _Match:
    """The values in a folder's path, by a pattern."""

    def __init__(self, pattern: str, space: LabelSpace, splits: SplitWords) -> None:
        self.pattern = pattern
        self.splits = splits
        self.tasks = {task.name: task for task in space.tasks}
        # First by the classes' own names, since {colour}_{garment} alone cannot tell what dark_blue_shirt is; then by
        # anything, to say which label it is that nobody knows.
        self._exact = self._compiled(exact=True)
        self._loose = self._compiled(exact=False)

    def _compiled(self, *, exact: bool) -> re.Pattern[str]:
        parts = []
        for index, part in enumerate(_PLACEHOLDER.split(self.pattern)):
            if index % 2 == 0:
                parts.append(re.escape(part))
            else:
                parts.append(f"(?P<{part}>{self._value(part, exact)})")
        return re.compile("".join(parts))

    def _value(self, name: str, exact: bool) -> str:
        task = self.tasks.get(name)
        if exact and name == SPLIT:
            words = (*self.splits.train, *self.splits.val, *self.splits.test)
            return f"(?i:{'|'.join(map(re.escape, words))})"
        if task is None or not exact:
            return "[^/]+?"
        if task.kind == "binned":
            return r"[-+]?\d+(?:\.\d+)?"
        return "|".join(re.escape(name) for name in task.classes)

    def __call__(self, where: str, root: Path) -> dict[str, str]:
        """Per task, and for the group, the value in the folder's path.

        Raises:
            UserError: it does not match the pattern, or a label is none of its task's.
        """
        found = self._exact.fullmatch(where) or self._loose.fullmatch(where)
        if found is None:
            folder = root / where if where else root
            raise UserError(f"{folder}: holds images, but its name does not match the pattern {self.pattern!r}")
        named = found.groupdict()
        try:
            if SPLIT in named:
                self.splits.side(named[SPLIT])
            for name, task in self.tasks.items():
                task.index(named[name])
        except UserError as error:
            raise UserError(f"{root / where}: {error}") from None
        return named
