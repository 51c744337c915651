"""Mutations of what a user may hand in: structured ones of data, blunt ones of files."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Random = random.Random

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 10**9, 2**63, -(2**63) - 1, 10**40, 0.0, -0.5, 0.3, 1.5, 1e-320, 1e308, -1e308,
    float("nan"), float("inf"), "", " ", "0", "1.0", "true", "auto", "none", "nan", "\x00", "\u202e", "e\u0301", "é",
    "\ud7ff", "💥", "../..", "/dev/null", "/", "a" * 5000, "${HOME}", "${NOT_SET_ANYWHERE}", [], {}, [[]], [None], [0],
    [1, 2], ["a", "a"], {"": 1}, {"name": "x"}, {"name": None}, {"a": {"b": {"c": 1}}},
)  # fmt: skip


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in nested data."""
    if path:
        yield path
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield from places(value, (*path, key))


def nested(rng: Random, depth: int) -> Any:
    """A list or section so many levels deep."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def changed(data: Any, rng: Random, times: int = 1) -> Any:
    """``data`` with something else at some places."""
    data = copy.deepcopy(data)
    for _ in range(times):
        found = list(places(data))
        if not found:
            return data
        *above, key = rng.choice(found)
        parent = data
        for step in above:
            parent = parent[step]
        match rng.randrange(9):
            case 0 | 1 | 2 | 3:
                parent[key] = rng.choice(VALUES)
            case 4:
                del parent[key]
            case 5:
                parent[key] = copy.deepcopy(_at(data, rng.choice(found)))
            case 6:
                parent[key] = nested(rng, rng.choice([3, 30, 90]))
            case 7 if isinstance(parent, dict):
                parent[rng.choice([f"{key}x", str(key).upper(), "", f"{key}.a", "名"])] = parent[key]
            case _:
                parent[key] = [parent[key]] if rng.random() < 0.5 else {str(key): parent[key]}
    return data


def _at(data: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


# --- files ------------------------------------------------------------------------------------------------------------


def cut(path: Path, rng: Random) -> None:
    """Leaves the beginning."""
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content) + 1)])


def flip(path: Path, rng: Random) -> None:
    """Other bytes at some places."""
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 3, 20]) if content else 0):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(bytes(content))


def insert(path: Path, rng: Random) -> None:
    """Something odd in the middle."""
    content = path.read_bytes()
    place = rng.randrange(len(content) + 1)
    odd = rng.choice(
        [b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b",", b"\n", b"\r", b"{", b"&a [*a]", b"\x85", b"\xe2\x80\xa8"]
    )
    path.write_bytes(content[:place] + odd * rng.choice([1, 1, 40]) + content[place:])


def swap_lines(path: Path, rng: Random) -> None:
    """Two lines in each other's place, or one twice, or gone."""
    lines = path.read_bytes().split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(3):
        case 0:
            lines[one], lines[other] = lines[other], lines[one]
        case 1:
            lines.insert(one, lines[other])
        case _:
            del lines[one]
    path.write_bytes(b"\n".join(lines))


def swap_cells(path: Path, rng: Random) -> None:
    """An odd value in a cell of a table, or one cell more or less."""
    lines = path.read_text(encoding="utf-8").split("\n")
    row = rng.randrange(len(lines))
    cells = lines[row].split(",")
    place = rng.randrange(len(cells))
    match rng.randrange(4):
        case 0 | 1:
            value = rng.choice([value for value in VALUES if not isinstance(value, (list, dict))])
            cells[place] = str(value)
        case 2:
            cells.insert(place, cells[place])
        case _:
            del cells[place]
    lines[row] = ",".join(cells)
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")


def remove(path: Path, rng: Random) -> None:
    """Nothing there."""
    path.unlink()


def as_folder(path: Path, rng: Random) -> None:
    """A folder in its place."""
    path.unlink()
    path.mkdir()


def as_fifo(path: Path, rng: Random) -> None:
    """A pipe that nobody writes to."""
    path.unlink()
    os.mkfifo(path)


def as_link(path: Path, rng: Random) -> None:
    """A link to itself, to nothing, to a device or to a folder."""
    path.unlink()
    path.symlink_to(rng.choice([path, path.parent / "gone", Path("/dev/null"), Path("/dev/zero"), path.parent]))


def empty(path: Path, rng: Random) -> None:
    """No bytes."""
    path.write_bytes(b"")


def another(path: Path, rng: Random) -> None:
    """What stands in a file beside it."""
    beside = [file for file in sorted(path.parent.iterdir()) if file.is_file() and file != path]
    if beside:
        shutil.copyfile(rng.choice(beside), path)


BLUNT: tuple[Callable[[Path, Random], None], ...] = (
    cut, cut, flip, flip, flip, insert, insert, swap_lines, remove, as_folder, as_fifo, as_link, empty, another,
)  # fmt: skip


def bluntly(path: Path, rng: Random) -> str:
    """One of the mutations of any file; its name."""
    how = rng.choice(BLUNT)
    how(path, rng)
    return how.__name__


def json_file(path: Path, rng: Random) -> str:
    """A file of JSON, or of a line of JSON each, with other data, or any mutation of its bytes."""
    if rng.random() < 0.3:
        return bluntly(path, rng)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        lines = text.splitlines()
        place = rng.randrange(len(lines))
        lines[place] = json.dumps(changed(json.loads(lines[place]), rng, rng.choice([1, 1, 3])))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
    else:
        path.write_text(json.dumps(changed(json.loads(text), rng, rng.choice([1, 1, 3]))), encoding="utf-8")
    return "changed"
