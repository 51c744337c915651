"""Patterns of names, read loosely: before anybody knows the classes."""

from __future__ import annotations

import re
from collections.abc import Callable

from multitask.data.sources.folders import ANY_SUFFIX, ANYTHING, GROUP, SPLIT, pattern_of_files
from multitask.errors import UserError
from multitask.utils.spelling import canonical, identifier_problem

_NUMBER_ENDS = r"(?:(?<=\d)(?=\D)|(?<=\D)(?=\d))"
"""Where two placeholders with nothing between them part, as of ``{label}{_}``: where a number begins or ends."""
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def placeholders(pattern: str, *, labels: bool = False) -> list[str]:
    """What the braces of a pattern name; with ``labels`` without group and split."""
    names = [name for name in _PLACEHOLDER.findall(pattern) if name != ANYTHING]
    return [name for name in names if not labels or name not in (GROUP, SPLIT)]


def matcher(pattern: str) -> Callable[[str], dict[str, str] | None]:
    """What finds the words in a path; None where that does not match.

    Raises:
        UserError: the pattern names no label, or something twice.
    """
    names = placeholders(pattern)
    if not placeholders(pattern, labels=True):
        raise UserError(f"--pattern: must have a label in braces, as {{label}}/{{_}}.jpg, found {pattern!r}")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--pattern: {{{name}}} stands twice in {pattern!r}; {{_}} is for what says nothing")
        if (problem := identifier_problem(name)) is not None:
            raise UserError(f"--pattern: {problem}")
    body, suffix = pattern, ""
    if pattern_of_files(pattern):
        body, _, ending = pattern.rpartition(".")
        suffix = r"\.[^./]+" if pattern.endswith(ANY_SUFFIX) else rf"(?i:\.{re.escape(ending)})"
    pieces: list[str] = []
    for index, piece in enumerate(_PLACEHOLDER.split(body)):
        if index % 2 == 0:
            between = pieces and index < 2 * body.count("{")
            pieces.append(re.escape(piece) if piece or not between else _NUMBER_ENDS)
        else:
            pieces.append("[^/]+?" if piece == ANYTHING else f"(?P<{piece}>[^/]+?)")
    compiled = re.compile("".join(pieces) + suffix)

    def match(path: str) -> dict[str, str] | None:
        found = compiled.fullmatch(path)
        return None if found is None else {name: canonical(word) for name, word in found.groupdict().items()}

    return match
