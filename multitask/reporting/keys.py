"""The keys of a config as Markdown, a table for each section."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from multitask.settings.keys import Key, Section
from multitask.settings.markdown import markdown

_SAYS_WHERE = re.compile(r"The ``[^`]*`` section(?:: |\.\s*)")
"""Beginnings of docstrings of sections, which repeat the heading."""


def keys_markdown(sections: Sequence[Section]) -> str:
    """Every section's keys, to stand on a page below a heading of the second level."""
    return "\n".join(line for section in sections for line in _section(section))


def anchor(heading: str) -> str:
    """GitHub's anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _section(section: Section) -> Iterator[str]:
    yield from (f"### `{section.path}`" if section.path else "### Top level", "")
    if text := _SAYS_WHERE.sub("", section.text):
        yield from (_line(text[0].upper() + text[1:]), "")
    if section.rows:
        yield f"`{section.path}.{section.tag}` is one of these; where it is left out, `{section.default}`."
        yield from ("", f"| `{section.tag}` | |", "|---|---|")
        yield from (_cells(f"`{name}`", _line(text)) for name, text in section.rows.items())
        yield ""
    if section.keys:
        of = ["of"] if section.rows else []
        header = ["key", *of, "type", "default", "meaning"]
        yield from (_cells(*header), "|" + "---|" * len(header))
        yield from (_key(key, section) for key in section.keys)
        yield ""


def _key(key: Key, section: Section) -> str:
    of = [_of(key.rows, section.rows)] if section.rows else []
    kind = f"[{key.type}](#{anchor(key.section)})" if key.section else key.type
    default = "**required**" if key.default is None else key.default and f"`{key.default}`"
    return _cells(f"`{key.path}`", *of, kind, default, _line(key.text))


def _of(rows: Collection[str], table: Collection[str]) -> str:
    """Which of a table's rows have a key, in as few names as can say it."""
    others = [name for name in table if name not in rows]
    if not rows or not others:
        return "all"
    few, before = (others, "all but ") if len(others) < len(rows) / 2 else (rows, "")
    return before + ", ".join(f"`{name}`" for name in few)


def _cells(*cells: str) -> str:
    return "|" + "|".join(f" {cell} ".replace("|", "\\|") if cell else " " for cell in cells) + "|"


def _line(text: str) -> str:
    return markdown(" ".join(text.split()))
