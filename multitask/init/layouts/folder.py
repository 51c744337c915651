"""Any folder of images: what its folders, or its files, are called says the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from multitask.data.sources.folders import ANY_SUFFIX, pattern_of_files
from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.images import paths_and_notes
from multitask.init.layouts.table import table_problem
from multitask.init.name_parts import Part, parts_of_files, parts_of_folder
from multitask.init.patterns import matcher, placeholders
from multitask.init.words import split_words
from multitask.utils.strings import StringsBuilder

_MATCHING = 0.5
"""The share of the images that a pattern must match."""


class AnyFolder(Layout):
    """Images below a folder."""

    title = "a folder of images"

    def fits(self) -> bool:
        """Whether it is a folder."""
        return self.path.is_dir()

    def observe(self, options: Options) -> Observed:
        """The labels in the names of its folders; where these say none, in those of its files."""
        paths, notes = paths_and_notes(self.path)
        found = self._of_names(paths, options)
        return replace(found, check=(*found.check, *notes))

    def _of_names(self, paths: list[str], options: Options) -> Observed:
        if options.pattern is not None:
            return of_pattern(self.path, paths, options.pattern)
        paths, below, asked = _training_part(paths)
        pattern = find_pattern([image.removeprefix(below) for image in paths])
        if not placeholders(pattern, labels=True):
            if (problem := table_problem(self.path)) is not None:
                raise UserError(problem)
            raise UserError(
                f"{self.path}: neither folders nor file names say labels, as {paths[0]}; say where they stand, as "
                "--pattern '{label}/{group}_{_}.jpg', or name a table of labels"
            )
        found = of_pattern(self.path, paths, pattern, below.rstrip("/") or ".")
        if asked:
            return replace(found, source={**(found.source or {}), "query_folder": asked})
        return found


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
            f"{root}: {len(missed):,} of {len(paths):,} images do not match the pattern {pattern!r}, as {missed[0]}"
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


def _training_part(paths: list[str]) -> tuple[list[str], str, str | None]:
    """The images that have labels, the folder that they are in, and that of others that are to be answered.

    A competition's ``test`` folder holds images without folders of labels: of another depth than those in ``train``.
    """
    tops: dict[str, Counter[int]] = {}
    for path in paths:
        top, slash, _ = path.partition("/")
        tops.setdefault(top if slash else "", Counter())[path.count("/")] += 1
    depth = {top: depths.most_common(1)[0][0] for top, depths in tops.items()}
    training = [top for top in tops if top.casefold() in ("train", "training")]
    others = [top for top in tops if top.casefold() in ("test", "testing", "eval", "val", "valid", "unlabelled")]
    if len(training) == 1 and others and all(depth[top] < depth[training[0]] for top in others):
        below = f"{training[0]}/"
        return [path for path in paths if path.startswith(below)], below, others[0]
    return paths, "", None


def find_pattern(paths: Sequence[str]) -> str:
    """The pattern by which most of some images' paths say labels: of folders where these do, else of files."""
    depth = Counter(path.count("/") for path in paths).most_common(1)[0][0]
    paths = [path for path in paths if path.count("/") == depth]
    parts: list[Part] = []
    for level in range(depth):
        counts = Counter(path.split("/", level + 1)[level] for path in paths)
        parts.append(Part.split() if split_words(counts) is not None else parts_of_folder(counts))
    if any(part.says_labels for part in parts) or not depth:
        folders = "/".join(_named(parts))
        if depth:
            return folders
    file = parts_of_files([path.rpartition("/")[2].rpartition(".")[0] for path in paths])
    suffixes = {path.rpartition(".")[2].lower() for path in paths}
    ending = f".{suffixes.pop()}" if len(suffixes) == 1 else ANY_SUFFIX
    return "/".join(_named([*parts, file])) + ending


def _named(parts: Sequence[Part]) -> list[str]:
    """The parts' patterns with the names of tasks, each once."""
    taken: list[str] = []
    return [part.pattern(taken) for part in parts]
