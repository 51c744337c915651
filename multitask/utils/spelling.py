"""Spellings of names and numbers: names that differ only in invisible characters are the same name, everywhere.

Spreadsheets leave spaces around a name, web pages non-breaking and zero-width ones, and macOS writes accents and Hangul
decomposed (NFD) where keyboards compose them (NFC). Case is seen, and stays different.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
"""Soft hyphen, zero-width space, marks of direction, word joiner, byte order mark."""
_JOINERS = "\u200c\u200d"
"""Zero-width (non-)joiners: part of the spelling within a Persian or Hindi word, but not at its ends."""
_SPACES = re.compile(r"[^\S ]")
"""Every space but the plain one: non-breaking, thin, ideographic, tabs, line breaks."""


def canonical(text: str) -> str:
    """``text`` in Unicode's composed form (NFC), without surrounding spaces and invisible characters."""
    if text.isascii():
        return text.strip() if text.isprintable() else _SPACES.sub(" ", text).strip()
    text = _SPACES.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFC", text)))
    return text.strip(f" {_JOINERS}")


def canonical_path(path: str) -> str:
    """A path with each of its parts in canonical spelling."""
    if path.isascii() and " " not in path and path.isprintable():
        return path
    return "/".join(canonical(part) for part in path.split("/"))


def _name(value: object) -> object:
    """What YAML has made of a name; whole numbers are what they were written as."""
    if isinstance(value, str):
        return canonical(value)
    if isinstance(value, bool) or value is None:
        word = "null" if value is None else str(value).lower()
        kind = "no value" if value is None else "a truth value"
        raise ValueError(f'{word} is {kind} in YAML, not a name; if it is a name, quote it: "{word}"')
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        raise ValueError(f'{value!r} is a number in YAML, not a name; quote it as the data has it, as in "{value!r}"')
    return value


Name = Annotated[str, BeforeValidator(_name, json_schema_input_type=str | int)]
"""A name in a config; how it is typed does not matter."""

MAX_NUMBER = 1e18
"""The largest number behind a label: a loss squares it in single precision, which ends at 3e38."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:(?:[,'_ ]\d{3})+(?:\.\d*)?|(?:\.\d{3}){2,}(?:,\d*)?|\.\d{3},\d+)", re.ASCII)
"""As ``1,234``, which may be a number with a comma for its decimal point, too."""
_WHOLE = re.compile(r"([-+]?\d+)\.0*", re.ASCII)
_MISSING = frozenset(("nan", "na", "n/a", "#n/a", "<na>", "nat", "none", "null", "nil"))


_UNKNOWN = frozenset(("-", "--", "?", "unknown", "missing"))


def parse_number(text: str) -> float:
    """The number that a text spells; NaN for others, as ``inf``, ``1_000`` and ``19,90``, and beyond MAX_NUMBER."""
    text = canonical(text)
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if abs(value) <= MAX_NUMBER else math.nan


def number_hint(text: str) -> str:
    """A hint for a text that is no number, where there is one."""
    if _THOUSANDS.fullmatch(canonical(text)):
        return "; write it without separators of thousands, and with a decimal point"
    if re.fullmatch(r"[-+]?\d+,\d+", canonical(text), re.ASCII):
        return "; write it with a decimal point"
    if _NUMBER.fullmatch(canonical(text)):
        return f"; it must be within {MAX_NUMBER:g}"
    return missing_hint(text)


def without_fraction(text: str) -> str:
    """``1.0`` as ``1``: pandas writes whole numbers so where a cell of their column is empty."""
    found = _WHOLE.fullmatch(text)
    return found[1] if found else text


def is_missing_word(text: str) -> bool:
    """Whether a text is one by which programs write a missing value."""
    return canonical(text).lower() in _MISSING


def may_mean_unknown(text: str) -> bool:
    """Whether a text is written for a missing value, by programs or by hand."""
    return is_missing_word(text) or canonical(text).casefold() in _UNKNOWN


def missing_hint(text: str) -> str:
    """A hint for a text by which programs write a missing value; empty for any other."""
    return "; that is how programs write what is missing: leave the cell empty" if is_missing_word(text) else ""


def identifier_problem(name: str) -> str | None:
    """The error in the name of a task or source, of which keys and patterns are made; None: it is right."""
    if name.isidentifier():
        return None
    near = re.sub(r"\W+", "_", name).strip("_")
    near = f"_{near}" if near[:1].isdigit() else near
    begins = near.startswith("_") and name.removeprefix("_")[:1].isdigit()
    rule = "must not begin with a digit" if begins else "is made of letters, digits and _"
    return f"a name {rule}, found {name!r}" + (f"; call it {near!r}" if near.isidentifier() else "")


class Spellings:
    """Reads names of one kind, and records those that are spelt in several ways.

    Args:
        kind: of the names, as "group".
        known: names that are spelt as they should be, as those of a config are.
    """

    def __init__(self, kind: str, known: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self._first = {name: name for name in known}  # canonical name -> how it was typed first
        self._others: dict[str, set[str]] = {}
        self._names = {name: name for name in known}
        self._seen: dict[str, str] = {}  # as it was typed -> canonical name

    def read(self, text: str) -> str:
        """The canonical name; equal names are one object."""
        name = self._seen.get(text)
        if name is None:
            name = canonical(text)
            name = self._seen[text] = self._names.setdefault(name, name)
            if self._first.setdefault(name, text) != text:
                self._others.setdefault(name, set()).add(text)
        return name

    def notes(self) -> list[str]:
        """One sentence on the names that are spelt in several ways; none where there are no such names."""
        if not self._others:
            return []
        name, others = next(iter(self._others.items()))
        shown = " and ".join(ascii_text(text) for text in [self._first[name], *sorted(others)][:3])
        num = len(self._others)
        return [
            f"{self.kind}: {num:,} {'name is' if num == 1 else 'names are'} typed in several ways that differ only in "
            f"surrounding spaces, invisible characters or Unicode normal form, and taken as one each: {shown}"
        ]


def ascii_text(text: str) -> str:
    """A text in quotes, with invisible characters escaped, so that it differs from others that look the same."""
    shown = repr(text)
    if unicodedata.is_normalized("NFC", text) and not _INVISIBLE.search(text) and not _SPACES.search(text):
        return shown
    return ascii(text)


def path_text(path: str) -> str:
    """A path as text that can be written: bytes of a file's name that are no UTF-8 are written out."""
    return path if path.isascii() else path.encode("utf-8", "backslashreplace").decode()


def find_file(root: Path, relative: str) -> Path:
    """The file that a path in a table means: ``root / relative``, or the one whose path is spelt alike.

    What is on the disk is opened by its own bytes. Where nothing is spelt alike, or two things are, the path is that of
    ``root / relative``, for whoever opens it to report.
    """
    path = root / relative
    if os.path.lexists(path):
        return path
    found = root
    for part in relative.split("/"):
        if os.path.lexists(found / part):
            found /= part
            continue
        try:
            names = _spelt(str(found), os.stat(found).st_mtime_ns).get(canonical(part), [])
        except OSError:
            return path
        if len(names) != 1:
            return path
        found /= names[0]
    return found


@lru_cache(maxsize=4096)
def _spelt(folder: str, changed: int) -> dict[str, list[str]]:
    """The names in a folder, as it was when it last changed, by their canonical spelling."""
    names: dict[str, list[str]] = {}
    for name in os.listdir(folder):
        names.setdefault(canonical(name), []).append(name)
    return names


def plural(number: int, one: str, many: str) -> str:
    """A count and its noun, as ``1 image`` and ``2,000 images``."""
    return f"{number:,} {one if number == 1 else many}"
