from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from multitask.reporting.bakeoff.page import render_bakeoff
from multitask.reporting.bakeoff.report_schema import BakeoffReport
from multitask.reporting.bakeoff.text import metric_text
from multitask.utils.records import parse_record, record_to_json
from tests.browser import at_both_widths, needs_chromium

Make = Callable[..., BakeoffReport]
VOID = {"meta", "br", "wbr", "link", "img", "input", "hr", "path", "use"}


class Balanced(HTMLParser):
    """Checks that what opens closes, and gathers ids and links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [str(found["id"])] if "id" in found else []
        self.links += [str(found["href"])] if tag == "a" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "two": {"names": ("flat", "shared")},
    "axis": {"points": (40, 80, "all"), "tune": True, "unseen": True},
    "failed": {"failed": ("shared",), "points": (40, "all")},
    "many": {
        "names": tuple(f"contender number {n} with <a> rather & long name" for n in range(13)),
        "points": (20, 40, 80, 160),
        "tasks": tuple(f"task_{n}" for n in range(7)),
        "seeds": 9,
    },
}


@pytest.mark.parametrize("case", CASES)
def test_a_page_is_whole_needs_nothing_else_and_is_the_same_twice(make_report: Make, case: str) -> None:
    report = make_report(**CASES[case])
    page = render_bakeoff(report)
    assert page == render_bakeoff(parse_record(record_to_json(report), BakeoffReport, Path("report.json")))
    found = Balanced(page)
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert not re.search(r"""(?:src|href)=["']?(?!#|data:)\w""", page)
    assert "<a>" not in page
    for name in report.points[0].contenders:
        assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in page
    assert report.sentences[0] in page


def test_sections_are_those_that_have_something_to_say(make_report: Make) -> None:
    plain = Balanced(render_bakeoff(make_report())).ids
    for name in ("sizes", "unseen", "tuning"):
        assert name not in plain
    rich = Balanced(render_bakeoff(make_report(**CASES["axis"]))).ids
    for name in ("differences", "sizes", "scores", "tasks", "unseen", "costs", "runs", "tuning", "contenders"):
        assert name in rich


def test_figures_are_where_a_reader_looks_for_them(make_report: Make) -> None:
    page = render_bakeoff(make_report(points=(40, "all")))
    for text in ("+6.0", "+2.0 to +10.0", ".510", "159.4 MB", "2,230,000", "1,234", "431", "5 to 6", "1 min"):
        assert text in page, text


def test_a_failed_contender_is_told(make_report: Make) -> None:
    assert "failed: heads.age: the loss is nan" in render_bakeoff(make_report(failed=("shared",)))


def test_joint_scores_that_no_contender_has_are_no_columns(make_report: Make) -> None:
    report = make_report()
    assert ">joint macro-F1</th><th" in render_bakeoff(report)
    for row in report.last.scored.values():
        object.__setattr__(row, "joint", None)
        object.__setattr__(row, "accuracy", None)
    page = render_bakeoff(replace(report, metric="tasks.age.macro_f1"))
    assert '>contender</th><th scope="col">mask macro-F1</th>' in page


@pytest.mark.parametrize(
    ("metric", "text"), [("joint.macro_f1", "joint macro-F1"), ("tasks.age.accuracy", "age accuracy")]
)
def test_metrics_are_named(metric: str, text: str) -> None:
    assert metric_text(metric) == text


@needs_chromium
def test_a_browser_shows_it_without_errors_or_sideways_scrolling(make_report: Make, tmp_path: Path) -> None:
    watch = """
    const errors = [];
    addEventListener("error", event => errors.push(event.message || "?"), true);
    addEventListener("load", () => {
      document.querySelectorAll("details").forEach(each => { each.open = true; });
      const letters = [...document.querySelectorAll("svg text")], outside = [];
      for (const text of letters) {
        const inner = text.getBoundingClientRect(), outer = text.ownerSVGElement.getBoundingClientRect();
        if (inner.left < outer.left - 2 || inner.right > outer.right + 2 || inner.top < outer.top - 2
            || inner.bottom > outer.bottom + 2) outside.push(text.ownerSVGElement.id + ": " + text.textContent);
      }
      parent.postMessage({name: location.hash.slice(1), window: document.documentElement.clientWidth,
        page: document.documentElement.scrollWidth, outside, errors}, "*");
    });"""
    pages = {name: render_bakeoff(make_report(**settings)) for name, settings in CASES.items()}
    for row in at_both_widths(pages, watch, tmp_path).values():
        assert row["page"] <= row["window"], row
        assert row["outside"] == [], row
        assert row["errors"] == [], row
