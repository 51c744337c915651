"""Errors that a user can cause and mend, and the hints in their lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

MAX_QUOTED = 200
"""Characters of a value that an error quotes; of more, the beginning."""
MAX_LINE = 1500
"""Characters of an error, with all that it quotes; of more, the beginning and the end."""


class UserError(ValueError):
    """A mistake in what a user gave; the message is one line that names the key or file, the rule and what was found.

    The command line prints the message without a traceback and exits with code 2. What is longer than ``MAX_LINE``
    loses its middle, since names, values and lists of either come from files that can hold anything.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(shortened(message))

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_it_was, (type(self), self.args)


def _as_it_was(kind: type[UserError], args: tuple[Any, ...]) -> UserError:
    """An error that comes from another process, not shortened once more."""
    return kind.__new__(kind, *args)


def shortened(message: str) -> str:
    """A message of at most about ``MAX_LINE`` characters: the beginning names the key, the end how to go on."""
    if len(message) <= MAX_LINE:
        return message
    head, tail = message[: MAX_LINE * 2 // 3], message[-MAX_LINE // 3 :]
    return f"{head} [{len(message) - len(head) - len(tail):,} characters left out] {tail}"


def first_line(error: BaseException) -> str:
    """The message of a library's exception in one line, at most 300 characters; its type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    text = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return text if len(text) <= 300 else text[:297] + "..."


def quoted(value: object) -> str:
    """A value for an error: as Python writes it, but for YAML's own words; of a long one the beginning.

    >>> quoted("a"), quoted(None), quoted(True)
    ("'a'", 'null', 'true')
    """
    text = "null" if value is None else repr(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}... ({len(text):,} characters)"


def kind_of(value: object) -> str:
    """What a value of a file is, for an error: ``a list``, ``nothing``; of others Python's own word."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    known: dict[Any, str] = {(int, float): "a number", str: "text", (list, tuple): "a list", Mapping: "keys and values"}
    return next((words for kinds, words in known.items() if isinstance(value, kinds)), f"a {type(value).__name__}")


def printable(message: str) -> str:
    """The message in one line, with whatever would move a terminal's cursor or colour its text written out."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in " ".join(message.split()))


class DivergedError(UserError):
    """A loss, a weight or an output of a network is NaN or infinite."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """A hint for a misspelt word: ``; did you mean 'x'?``, or the choices if none is near and they are few."""
    choices = list(choices)
    near = difflib.get_close_matches(word, choices, n=3, cutoff=0.6)
    if near:
        return did_you_mean(near)
    if 0 < len(choices) <= 16:
        return "; it can be " + ", ".join(repr(name) for name in choices)
    return ""


def did_you_mean(names: Iterable[str]) -> str:
    """The end of an error: ``; did you mean 'x' or 'y'?``."""
    return "; did you mean " + " or ".join(repr(name) for name in names) + "?"
