"""A recipe in words."""

from __future__ import annotations

from multitask.reporting.recipe.report_schema import Tried
from multitask.reporting.recipe.text import changes_text


def test_changes_are_shown_and_whole_sections_shortened() -> None:
    assert changes_text(Tried("a", {}, None)) == "nothing"
    assert (
        changes_text(Tried("a", {"data.crop": {"name": "none"}, "seed": 1}, None)) == "data.crop={name: none}, seed=1"
    )
    others = {name: {"root": "/some/where/far", "tasks": ["age"], "crop": None} for name in ("people", "ages")}
    section = {"name": "several", "target": "people", "weights": None, "sources": others}
    assert (
        changes_text(Tried("a", {"data.source": section, "seed": 1}, None))
        == "data.source={name: several, target: people, sources: {people, ages}}, seed=1"
    )
    sources = {f"source{number}": {"root": "somewhere", "tasks": ["age"]} for number in range(20)}
    shown = changes_text(Tried("a", {"data.source": sources, "seed": 1}, None))
    assert shown.startswith("data.source={source0, source1, ")
    assert shown.endswith("source19}, seed=1")
    assert len(shown) < 130
