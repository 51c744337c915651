"""The shards that patterns mean: ``train-{000000..000012}.tar``, ``{train,extra}-*.tar``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from multitask.data.sources.base import check_there, inside
from multitask.errors import UserError

_MOST = 1_000_000
_BRACES = re.compile(r"\{([^{}]*)\}")
_LAST_NUMBER = re.compile(r"\d+(?=\D*$)", re.ASCII)
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
    check_there((root / path for path in found), key)
    found = [inside(path, key) for path in found]
    if len(set(found)) < len(found):
        twice = next(path for path in found if found.count(path) > 1)
        raise UserError(f"data.source.{key}: {twice} is meant twice")
    return found


def shard_patterns(shards: Sequence[str]) -> list[str]:
    """The patterns that mean some shards, in that order: those of one name and consecutive numbers by one.

    >>> shard_patterns(["train-08.tar", "train-09.tar", "train-10.tar", "train-12.tar"])
    ['train-{08..10}.tar', 'train-12.tar']

    Raises:
        UserError: a shard has a brace or a star in its name, which no pattern means.
    """
    runs: list[list[str]] = []
    for shard in shards:
        if set(shard) & set("{}*"):
            raise UserError(f"{shard}: has a brace or a star in its name, which patterns of shards have a meaning for")
        if runs and _next(runs[-1][-1]) == shard:
            runs[-1].append(shard)
        else:
            runs.append([shard])
    return [run[0] if len(run) == 1 else _range(run[0], run[-1]) for run in runs]


def _next(shard: str) -> str | None:
    """The name with the next number, as wide; None: it has none."""
    before, number, after = _numbered(shard)
    return f"{before}{int(number) + 1:0{len(number)}d}{after}" if number else None


def _range(first: str, last: str) -> str:
    before, number, after = _numbered(first)
    return f"{before}{{{number}..{_numbered(last)[1]}}}{after}"


def _numbered(shard: str) -> tuple[str, str, str]:
    """The last number in a name, with what stands before and behind it."""
    found = _LAST_NUMBER.search(shard)
    return (shard[: found.start()], found[0], shard[found.end() :]) if found else (shard, "", "")
