"""The shards that patterns mean: ``train-{000000..000012}.tar``, ``{train,extra}-*.tar``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from multitask.data.sources.base import all_there, inside
from multitask.errors import UserError

_MOST = 1_000_000
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)", re.ASCII)


def expand_braces(pattern: str) -> list[str]:
    """The paths, or patterns with ``*``, that braces stand for, as shells and WebDataset expand them.

    >>> expand_braces("{a,b}-{08..10}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar', 'b-08.tar', 'b-09.tar', 'b-10.tar']

    Raises:
        ValueError: a range goes down, or there are too many.
    """
    found = _BRACES.search(pattern)
    if found is None:
        if "{" in pattern or "}" in pattern:
            raise ValueError(f"must have pairs of braces, found {pattern!r}")
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    rest = expand_braces(after)
    parts = list(_parts(found[1]))
    if len(parts) * len(rest) > _MOST:
        raise ValueError(f"means more than {_MOST:,} shards: {pattern!r}")
    if "{" in before or "}" in before:
        raise ValueError(f"must have pairs of braces, none in another, found {pattern!r}")
    return [f"{before}{part}{end}" for part in parts for end in rest]


def _parts(text: str) -> Iterator[str]:
    numbers = _RANGE.fullmatch(text)
    if numbers is None:
        if ".." in text:
            raise ValueError(f"must have a range of numbers as {{000..012}}, or words with commas, found {{{text}}}")
        yield from text.split(",")
        return
    first, last = int(numbers[1]), int(numbers[2])
    if first > last:
        raise ValueError(f"must have ranges that go up, found {{{text}}}")
    if last - first >= _MOST:
        raise ValueError(f"means more than {_MOST:,} shards: {{{text}}}")
    width = len(numbers[1]) if numbers[1].startswith("0") or len(numbers[1]) == len(numbers[2]) else 0
    yield from (f"{number:0{width}d}" for number in range(first, last + 1))


def shards_of(root: Path, patterns: tuple[str, ...], key: str) -> list[str]:
    """The shards that patterns mean, as paths in ``root``, in their order; those of a ``*`` by name.

    Args:
        root: the data root.
        patterns: as of ``expand_braces``; each of a shard that must be there, or with a ``*``.
        key: the setting that they are of.

    Raises:
        UserError: one is missing, or meant twice, or a ``*`` finds none.
    """
    found: list[str] = []
    for pattern in patterns:
        for path in expand_braces(pattern):
            if "*" not in path:
                found.append(path)
                continue
            names = sorted(str(match.relative_to(root)) for match in root.glob(path) if match.is_file())
            if not names:
                raise UserError(f"{root / path}: no shard is called so (data.source.{key})")
            found.extend(names)
    all_there((root / path for path in found), key)
    found = [inside(path, key) for path in found]
    if len(set(found)) < len(found):
        twice = next(path for path in found if found.count(path) > 1)
        raise UserError(f"data.source.{key}: {twice} is meant twice")
    return found
