"""The names by which several runs are told apart."""

from __future__ import annotations

from collections.abc import Sequence

from multitask.runs.folder import RunFolder


def distinct_names(folders: Sequence[RunFolder]) -> list[str]:
    """The name of each folder, or where several have it as much of the end of its path as tells it from theirs.

    >>> from pathlib import Path
    >>> paths = ("a/lr/seed0", "a/wd/seed0", "a/flat")
    >>> distinct_names([RunFolder(Path(path)) for path in paths])
    ['lr/seed0', 'wd/seed0', 'flat']
    """
    parts = [folder.path.resolve().parts for folder in folders]
    found = []
    for folder, own in zip(folders, parts, strict=True):
        others = [other for other in parts if other != own]
        least = folder.name.count("/") + 1
        lengths = (num for num in range(least, len(own)) if all(other[-num:] != own[-num:] for other in others))
        found.append("/".join(own[-next(lengths, least) :]))
    return found
