"""Samples from folders, or files, whose names carry the labels."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import model_validator

from multitask.data.formats import SUFFIXES
from multitask.data.samples import Files, Queries, Samples
from multitask.data.sources.base import RootedSettings, inside
from multitask.data.sources.listing import list_images
from multitask.data.sources.split_words import SplitWords
from multitask.errors import UserError, nearest
from multitask.labels import LabelSpace, Task
from multitask.utils.spelling import Name, Spellings, canonical_path
from multitask.utils.strings import Strings

GROUP = "group"
SPLIT = "split"
ANYTHING = "_"
"""What stands there says nothing."""
ANY_SUFFIX = ".*"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class FoldersSettings(RootedSettings):
    """Every image under a folder; the path of its own folder, or its own, says its labels, as a pattern has it."""

    name: Literal["folders"] = "folders"
    pattern: str
    """As ``{suit}/{rank}`` or ``{colour}_{garment}``: what folders are called, with a task's name in braces where its
    label stands (of a binned task, a number). ``{group}`` is who must stay together; without it each image is on its
    own. ``{split}``, as in ``{split}/{suit}/{rank}``, says who trains, validates and tests; else that is random.
    ``{_}`` says nothing. With an image's suffix at the end, as in ``{age}_{gender}_{_}.jpg``, it is of files; ``.*``
    is any suffix."""
    indices: tuple[Name, ...] = ()
    """Tasks of which names hold class indices, from 0, in place of class names."""
    unmatched: Literal["error", "skip"] = "error"
    """What is done with images whose names do not match the pattern; those that are skipped are counted."""
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
            if names.count(name) > 1 and name != ANYTHING:
                raise ValueError(f"pattern: {{{name}}} stands twice in {self.pattern!r}")
        object.__setattr__(self, "pattern", canonical_path(self.pattern))
        if re.search(r"[{}]", _PLACEHOLDER.sub("", self.pattern)):
            raise ValueError(f"pattern: must have a task's name in each pair of braces, found {self.pattern!r}")
        if self.pattern != self.pattern.strip("/") or not self.pattern:
            raise ValueError(f"pattern: must be a path of folders such as {{suit}}/{{rank}}, found {self.pattern!r}")
        return self

    @property
    def of_files(self) -> bool:
        """Whether the pattern is of images rather than of their folders."""
        return pattern_of_files(self.pattern)

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
            if name not in (*space.task_names, GROUP, SPLIT, ANYTHING):
                near = nearest(name, (*space.task_names, GROUP, SPLIT))
                raise UserError(f"pattern: labels.tasks has no task {name!r}{near}")
        for name in space.task_names:
            if name not in names:
                raise UserError(f"pattern: says nothing of {name}; {{{name}}} must stand in {self.pattern!r}")
        for name in self.indices:
            if name not in space.task_names:
                raise UserError(f"indices: labels.tasks has no task {name!r}{nearest(name, space.task_names)}")
            if space.tasks[space.task_names.index(name)].kind == "binned":
                raise UserError(f"indices: {name} is binned: its names hold the number itself")

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """The images under ``folder``, in the order of their paths."""
        return self._labelled(root, self.folder, self.pattern, space)

    def queries(self, root: Path) -> Queries:
        """The images under ``query_folder``, in the order of their paths, which are what the answers call them."""
        folder = root / self.query_folder
        found = list_images(folder, self.links(root))
        images = Strings.of(found.images.paths())
        return Queries(images, Files(images, folder.joinpath), "path", "names", notes=found.notes)

    def answered(self, root: Path, space: LabelSpace) -> Samples:
        """The images under ``query_folder``, whose folders must say their labels; they are in no split."""
        return self._labelled(root, self.query_folder, self.pattern.replace(f"{{{SPLIT}}}/", "", 1), space)

    def _labelled(self, root: Path, folder: str, pattern: str, space: LabelSpace) -> Samples:
        prefix = "" if folder == "." else f"{inside(folder, 'folder')}/"
        match = _Match(pattern, space, self)
        spellings = Spellings("folders", tuple(name for task in space.tasks for name in task.classes))
        known: dict[str, dict[str, str] | None] = {}
        images: list[str] = []
        groups: list[str] = []
        sides: list[int] = []
        values: dict[str, list[str]] = {task: [] for task in space.task_names}
        listing = list_images(root / folder, self.links(root))
        skipped: list[str] = []
        for where, name in listing.images:
            path = f"{where}/{name}" if where else name
            named = path if self.of_files else where
            if named not in known:
                spelt = "/".join(spellings.read(part) for part in named.split("/"))
                known[named] = match(spelt, root / folder)
            found = known[named]
            if found is None:
                skipped.append(path)
                continue
            image = prefix + path
            images.append(image)
            groups.append(found.get(GROUP, image))
            if SPLIT in found:
                sides.append(self.splits.side(found[SPLIT]))
            for task, column in values.items():
                column.append(found[task])
        if not images:
            raise UserError(f"{root / folder}: no image matches the pattern {self.pattern!r}, as {skipped[0]}")
        notes = (*spellings.notes(), *listing.notes, *_skipped_note(root / folder, skipped, self.pattern))
        samples = Samples.from_values(space, root, images, groups, values, self.name, notes)
        samples = replace(samples, other_files=listing.others)
        return replace(samples, sides=np.array(sides, dtype=np.int64)) if sides else samples


def _skipped_note(folder: Path, skipped: list[str], pattern: str) -> list[str]:
    if not skipped:
        return []
    does, is_ = ("image does", "is") if len(skipped) == 1 else ("images do", "are")
    return [f"{folder}: {len(skipped):,} {does} not match the pattern {pattern!r} and {is_} skipped, as {skipped[0]}"]


def pattern_of_files(pattern: str) -> bool:
    """Whether a pattern ends in an image's suffix, or any, and so is of files rather than of their folders."""
    return pattern.endswith(ANY_SUFFIX) or Path(pattern).suffix.lower() in SUFFIXES


class _Match:
    """The values in the path of a folder, or of an image, by a pattern."""

    def __init__(self, pattern: str, space: LabelSpace, settings: FoldersSettings) -> None:
        self.pattern = pattern
        self.splits = settings.splits
        self.indices = settings.indices
        self.skips = settings.unmatched == "skip"
        self.of_files = settings.of_files
        self.tasks = {task.name: task for task in space.tasks}
        # First by the classes' own names, since {colour}_{garment} alone cannot tell what dark_blue_shirt is; then by
        # anything, to say which label it is that nobody knows.
        self._exact = self._compiled(exact=True)
        self._loose = self._compiled(exact=False)
        # The first reading and the last differ where there is more than one.
        self._exact_last = self._compiled(exact=True, last=True)

    def _compiled(self, *, exact: bool, last: bool = False) -> re.Pattern[str]:
        body, suffix = self.pattern, ""
        if self.of_files:
            body, ending = self.pattern.rsplit(".", 1)
            suffix = r"\.[^./]+" if ending == "*" else rf"(?i:\.{re.escape(ending)})"
        parts = []
        for index, part in enumerate(_PLACEHOLDER.split(body)):
            if index % 2 == 0:
                parts.append(re.escape(part))
            elif part == ANYTHING:
                parts.append("[^/]+?")
            else:
                parts.append(f"(?P<{part}>{self._value(part, exact, last)})")
        return re.compile("".join(parts) + suffix)

    def _value(self, name: str, exact: bool, last: bool) -> str:
        task = self.tasks.get(name)
        if exact and name == SPLIT:
            words = (*self.splits.train, *self.splits.val, *self.splits.test)
            return f"(?i:{'|'.join(map(re.escape, words))})"
        if task is None or not exact:
            return "[^/]+?"
        if task.kind == "binned":
            return r"[-+]?\d+(?:\.\d+)?"
        names = [*map(str, range(task.num_classes))] if name in self.indices else [*task.classes]
        return "|".join(re.escape(name) for name in (reversed(names) if last else names))

    def __call__(self, where: str, root: Path) -> dict[str, str] | None:
        """Per task, and for the group, the value in the path of a folder or image; None: it is skipped.

        Raises:
            UserError: it does not match the pattern, or in two ways, or a label is none of its task's.
        """
        found = self._exact.fullmatch(where)
        if found is not None:
            self._check_one_way(where, root, found)
        elif not self.skips:
            found = self._loose.fullmatch(where)
        if found is None:
            if self.skips:
                return None
            path = root / where if where else root
            what = "its name does not match" if self.of_files else "holds images, but its name does not match"
            raise UserError(f"{path}: {what} the pattern {self.pattern!r}")
        named = found.groupdict()
        try:
            if SPLIT in named:
                self.splits.side(named[SPLIT])
            for name, task in self.tasks.items():
                if name in self.indices:
                    named[name] = _class_at(task, named[name])
                task.index(named[name])
        except UserError as error:
            raise UserError(f"{root / where}: {error}") from None
        return named

    def _check_one_way(self, where: str, root: Path, first: re.Match[str]) -> None:
        last = self._exact_last.fullmatch(where)
        assert last is not None
        ways = [", ".join(f"{name} {found[name]!r}" for name in self.tasks) for found in (first, last)]
        if ways[0] != ways[1]:
            raise UserError(
                f"{root / where}: may be {ways[0]}, or {ways[1]} by the pattern {self.pattern!r}; part the labels by "
                "something that is in none of their names"
            )


def _class_at(task: Task, text: str) -> str:
    if not (text.isascii() and text.isdigit() and int(text) < task.num_classes):
        raise UserError(
            f"{task.name}: must be an index of its classes, from 0 to {task.num_classes - 1}, found {text!r}"
        )
    return task.classes[int(text)]
