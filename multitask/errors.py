"""The errors that a user can cause and mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """What a user gave is wrong; the message is one line that names it, the rule and what was found.

    The command line prints the message without a traceback and exits with code 2.
    """


def nearest(word: str, choices: Iterable[str]) -> str:
    """A hint for a misspelt word: ``; did you mean 'x'?``, or the choices if none is near and they are few."""
    choices = list(choices)
    near = difflib.get_close_matches(word, choices, n=3, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(repr(name) for name in near) + "?"
    if 0 < len(choices) <= 12:
        return "; it can be " + ", ".join(repr(name) for name in choices)
    return ""
