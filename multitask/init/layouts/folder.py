"""Any folder of images: what its folders, or its files, are called says the labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from multitask.data.sources.folders import ANY_SUFFIX, pattern_of_files
from multitask.data.sources.split_words import SplitWords
from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.images import paths_and_notes
from multitask.init.layouts.table import table_problem
from multitask.init.name_parts import Part, may_be_classes, parts_of_files, parts_of_folder
from multitask.init.patterns import matcher, placeholders
from multitask.init.words import split_words
from multitask.utils.spelling import plural
from multitask.utils.strings import StringsBuilder

_MAY_HOLD_LABELS = (".txt", ".json", ".jsonl", ".xml", ".mat", ".dat", ".npy")
_MATCHING = 0.5
"""The share of the images that a pattern must match."""


class AnyFolder(Layout):
    """Images below a folder."""

    title = "a folder of images"
    takes = frozenset({"pattern"})

    def fits(self) -> bool:
        """Whether it is a folder."""
        return self.path.is_dir()

    def observe(self, options: Options) -> Observed:
        """The labels in the names of its folders; where these say none, in those of its files."""
        paths, notes = paths_and_notes(self.path)
        found = self._of_names(paths, options)
        return replace(found, check=(*found.check, *_without_images(self.path, paths, found), *notes))

    def _of_names(self, paths: list[str], options: Options) -> Observed:
        if options.pattern is not None:
            return of_pattern(self.path, paths, options.pattern)
        part = _training_part(paths)
        pattern = find_pattern([image.removeprefix(part.below) for image in part.images])
        if not placeholders(pattern, labels=True):
            if (problem := table_problem(self.path)) is not None:
                raise UserError(problem)
            raise UserError(
                f"{self.path}: neither folders nor file names say labels, as {paths[0]}; say where they stand, as "
                f"--pattern '{{label}}/{{group}}_{{_}}.jpg', or name a table of labels{_unread(self.path)}"
            )
        found = of_pattern(self.path, part.images, pattern, part.below.rstrip("/") or ".")
        found = replace(found, check=(*found.check, *_may_be_groups(found, pattern)))
        return found if part.asked is None else part.with_asked(found)


def of_pattern(root: Path, paths: Sequence[str], pattern: str, folder: str = ".", **known: object) -> Observed:
    """What a pattern says of images.

    Args:
        root: the folder of the set.
        paths: of the images, relative to it.
        pattern: of what stands in ``folder``.
        folder: in the root.
        known: further fields of ``Observed``.

    Raises:
        UserError: it matches fewer than half of them.
    """
    match = matcher(pattern)
    prefix = "" if folder == "." else f"{folder}/"
    of_files = pattern_of_files(pattern)
    images: list[str] = []
    columns = {name: StringsBuilder() for name in placeholders(pattern)}
    missed: list[str] = []
    for path in paths:
        named = path.removeprefix(prefix)
        found = match(named if of_files else named.rpartition("/")[0])
        if found is None:
            missed.append(path)
            continue
        images.append(path)
        for name, word in found.items():
            columns[name].extend((word,))
    if len(images) < _MATCHING * len(paths) or not images:
        raise UserError(
            f"{root}: {len(missed):,} of {plural(len(paths), 'image does', 'images do')} not match the pattern "
            f"{pattern!r}, as {missed[0]}"
        )
    check = []
    if missed:
        what = (
            "image does not match the pattern and is" if len(missed) == 1 else "images do not match the pattern and are"
        )
        check.append(f"{len(missed):,} {what} skipped, as {missed[0]}")
    source = {"name": "folders", "pattern": pattern, "folder": folder, **({"unmatched": "skip"} if missed else {})}
    known.setdefault("labels", tuple(placeholders(pattern, labels=True)))
    known.setdefault("assumed", (f"the names of {'files' if of_files else 'folders'} say: {pattern}",))
    group, split = ("group" if "group" in columns else None), ("split" if "split" in columns else None)
    words = {name: column.build() for name, column in columns.items()}
    return Observed(root, images, words, source, group=group, split=split, check=tuple(check), **known)  # type: ignore[arg-type]


def _unread(folder: Path) -> str:
    """The end of a line on a folder that says no labels: what in it may hold them; empty: nothing does."""
    with suppress(OSError):
        for file in sorted(folder.iterdir()):
            read_me = file.stem.casefold().startswith(("readme", "license", "licence", "."))
            if file.suffix.lower() in _MAY_HOLD_LABELS and not read_me and file.is_file():
                return f"; {file.name} is none: if it holds them, write it anew as .csv, with the columns' names first"
    return ""


@dataclass(frozen=True)
class _TrainingPart:
    """The images that have labels.

    Attributes:
        images: their paths.
        below: the folder that all of them are in, with its slash; empty: there is none.
        asked: the folder of images that are to be answered.
        num_asked: how many these are.
        unused: how many images are in each of the other folders like it.
    """

    images: list[str]
    below: str = ""
    asked: str | None = None
    num_asked: int = 0
    unused: Mapping[str, int] = field(default_factory=dict)

    def with_asked(self, found: Observed) -> Observed:
        """What is said of the images with labels, and of the others."""
        source = {**(found.source or {}), "query_folder": self.asked}
        if not self.below:
            source["unmatched"] = "skip"
        assumed = (
            f"the images in {self.asked} ({self.num_asked:,}) have no labels, and are those that are to be answered"
        )
        unused = [
            f"the images in {name} ({num:,}) have no labels and are not used" for name, num in self.unused.items()
        ]
        return replace(found, source=source, assumed=(*found.assumed, assumed), check=(*found.check, *unused))


def _training_part(paths: list[str]) -> _TrainingPart:
    """The images that have labels.

    A competition's ``test`` folder holds images without folders of labels: of another depth than those in ``train``.
    """
    tops: dict[str, Counter[int]] = {}
    for path in paths:
        top, slash, _ = path.partition("/")
        tops.setdefault(top if slash else "", Counter())[path.count("/")] += 1
    depth = {top: depths.most_common(1)[0][0] for top, depths in tops.items()}
    words = SplitWords()
    training = [top for top in tops if top.casefold() in words.train]
    if len(training) != 1:
        return _TrainingPart(paths)
    held_out = {*words.test, *words.val, "unlabelled", "unlabeled"}
    asked = [top for top in tops if top.casefold() in held_out and depth[top] < depth[training[0]]]
    if not asked:
        return _TrainingPart(paths)
    asked.sort(key=lambda top: top.casefold() in words.val)  # what validates is the last that anybody wants answered
    images = [path for path in paths if path.partition("/")[0] not in asked]
    below = f"{training[0]}/" if all(path.startswith(f"{training[0]}/") for path in images) else ""
    nums = {top: tops[top].total() for top in asked}
    return _TrainingPart(images, below, asked[0], nums.pop(asked[0]), nums)


def _may_be_groups(found: Observed, pattern: str) -> list[str]:
    """Says of folders that are taken for classes though they look like groups what else they may be."""
    named = placeholders(pattern, labels=True)
    if len(named) != 1 or pattern_of_files(pattern) or found.group is not None:
        return []
    counts = Counter(found.columns[named[0]])
    if not parts_of_folder(counts).is_group:
        return []
    return [
        f"what the {len(counts):,} folders are called is taken for a label, since no other name says any; if each is "
        "of one and the same thing, its images must stay together: write {group} for it in a --pattern that says labels"
    ]


def _without_images(root: Path, paths: Sequence[str], found: Observed) -> list[str]:
    """Says of folders that may be classes, but hold no image."""
    source = found.source or {}
    pattern = str(source.get("pattern", ""))
    if pattern_of_files(pattern):
        return []
    holders = {path.rpartition("/")[0] for path in paths}
    depth = pattern.count("/") + (0 if source["folder"] == "." else str(source["folder"]).count("/") + 1)
    above = {holder.rpartition("/")[0] for holder in holders if holder and holder.count("/") == depth}
    known = {
        "/".join(parts[:end]) for parts in (holder.split("/") for holder in holders) for end in range(len(parts) + 1)
    }
    empty = []
    for folder in sorted(above):
        with suppress(OSError), os.scandir(root / folder) as entries:
            empty += [
                f"{folder}/{entry.name}" if folder else entry.name
                for entry in entries
                if entry.is_dir() and not entry.name.startswith((".", "__"))
            ]
    empty = sorted(name for name in empty if name not in known)
    if not empty:
        return []
    what = "folder holds" if len(empty) == 1 else "folders hold"
    return [f"{len(empty):,} {what} no image, and no class is made of such, as {empty[0]}"]


def find_pattern(paths: Sequence[str]) -> str:
    """The pattern by which most of some images' paths say labels: of folders where these do, else of files.

    Where neither do, folders that look like groups are classes, unless they are called what groups are.
    """
    depth = Counter(path.count("/") for path in paths).most_common(1)[0][0]
    paths = [path for path in paths if path.count("/") == depth]
    parts: list[Part] = []
    levels: list[Counter[str]] = []
    for level in range(depth):
        levels.append(Counter(path.split("/", level + 1)[level] for path in paths))
        parts.append(Part.split() if split_words(levels[-1]) is not None else parts_of_folder(levels[-1]))
    if any(part.says_labels for part in parts):
        return "/".join(_named(parts))
    split = [path.rpartition("/") for path in paths]
    file = parts_of_files([name.rpartition(".")[0] for _, _, name in split], [folder for folder, _, _ in split])
    if not file.says_labels:
        for level in reversed(range(depth)):
            if parts[level].is_group and may_be_classes(levels[level]):
                return "/".join(_named([*parts[:level], Part.label(), *parts[level + 1 :]]))
    suffixes = {path.rpartition(".")[2].lower() for path in paths}
    ending = f".{suffixes.pop()}" if len(suffixes) == 1 else ANY_SUFFIX
    return "/".join(_named([*parts, file])) + ending


def _named(parts: Sequence[Part]) -> list[str]:
    """The parts' patterns with the names of tasks, each once."""
    taken: list[str] = []
    return [part.pattern(taken) for part in parts]
