"""A page as a browser's parser sees it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

_VOID = {"meta", "img", "br", "wbr", "link", "input"}
"""Tags that are never closed."""


class Page(HTMLParser):
    """The elements of a page in order, and the text of each."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[dict[str, Any]] = []
        self.open: list[dict[str, Any]] = []
        self.feed(source)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        inside = [each["tag"] for each in self.open]
        self.elements.append({"tag": tag, "attrs": dict(attrs), "text": "", "inside": inside})
        if tag not in _VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append({"tag": tag, "attrs": dict(attrs), "text": "", "inside": []})

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()["tag"] == tag, tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element["text"] += data

    def all(self, tag: str, **attrs: str) -> list[dict[str, Any]]:
        """The elements of a tag with these attributes; ``class_`` stands for ``class``."""
        wanted = {key.rstrip("_"): value for key, value in attrs.items()}
        return [each for each in self.elements if each["tag"] == tag and wanted.items() <= each["attrs"].items()]

    def one(self, tag: str, **attrs: str) -> dict[str, Any]:
        (found,) = self.all(tag, **attrs)
        return found

    def section(self, anchor: str) -> str:
        """A section's text, its spaces as one."""
        return " ".join(self.one("section", id=anchor)["text"].split())

    def rows(self, anchor: str) -> list[list[str]]:
        """The cells' texts of every row of a section's tables."""
        found: list[list[str]] = []
        place: Any = 0
        for element in self.elements:
            if element["tag"] == "section":
                place = element["attrs"]["id"]
            elif place == anchor and element["tag"] == "tr":
                found.append([])
            elif place == anchor and element["tag"] in ("td", "th"):
                found[-1].append(element["text"].strip())
        return found
