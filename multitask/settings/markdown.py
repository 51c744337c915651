"""Docstrings of settings as Markdown, in the words of YAML."""

from __future__ import annotations

import re

_CODE = re.compile(r"(`[^`]*`)")


def markdown(text: str) -> str:
    """A docstring with Markdown's own characters escaped but in code, and ``null`` for None.

    >>> print(markdown("Of ``data``; None: a < b."))
    Of `data`; `null`: a \\< b.
    """
    parts = _CODE.split(text.replace("``", "`"))
    for index in range(0, len(parts), 2):  # between them stands code
        parts[index] = re.sub(r"([*<])", r"\\\1", re.sub(r"\bNone\b", "`null`", parts[index]))
    return "".join(parts)
