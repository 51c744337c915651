"""A recipe's page, in a browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from multitask.reporting.figures import IntervalGap, IntervalScore
from multitask.reporting.recipe.page import render_recipe
from multitask.reporting.recipe.report_schema import Judged, RecipeReport, StageReport, State, Tried
from tests.browser import at_both_widths, needs_chromium

SCORE = IntervalScore(0.42, (0.37, 0.47))
CROP = {"data.crop": {"name": "centre", "left": 0.1, "top": 0.1, "right": 0.9, "bottom": 0.9}, "data.root": ""}


def stage(name: str, state: State, **more: object) -> StageReport:
    settings = {"note": "", "tried": (), "changes": {}, "judged": None, "epochs": 2, "estimate_s": 3.0, "seconds": 9.0}
    return StageReport(name, name.capitalize(), state, f"{name}: {state}.", **{**settings, **more})  # type: ignore[arg-type]


def report() -> RecipeReport:
    gain = IntervalGap(0.02, -0.01, 0.05, beyond_noise=False)
    tried = (Tried("as it stands", {}, 0.4), Tried("middle", CROP, 0.43, picked=True))
    stages = (
        stage("baseline", "done", judged=Judged(None, SCORE, None, 0.95, 21, 147)),
        stage("crop", "not kept", tried=tried, changes=CROP, judged=Judged(SCORE, SCORE, gain, 0.99, 21, 147)),
        stage("folds", "done", files={"run": "stages/folds/runs/of/a/long/name"}),
    )
    return RecipeReport(
        recipe="tiny",
        created="2026-11-29T12:00:00+00:00",
        base="base.yaml",
        metric="joint.macro_f1",
        budget_s=600.0,
        spent_s=30.0,
        alpha=0.05,
        num_judged=5,
        num_folds=2,
        num_seeds=2,
        epochs=2,
        num_pick_groups=9,
        tasks=("mask",),
        stages=stages,
        total=None,
        changes={},
        sentences=("Nothing was kept: the config as given stands.",),
    )


@needs_chromium
def test_a_browser_shows_the_page_without_cut_words_or_sideways_scrolling(tmp_path: Path) -> None:
    watch = """
    const lines = node => [...node.textContent.matchAll(/\\S+/g)].map(word => {
      const range = document.createRange();
      range.setStart(node, word.index), range.setEnd(node, word.index + word[0].length);
      return range.getClientRects().length});
    addEventListener("load", () => parent.postMessage({name: location.hash.slice(1),
      window: innerWidth, page: document.documentElement.scrollWidth,
      lines: Math.max(...[...document.querySelectorAll(".trials tbody th")].flatMap(cell => lines(cell.firstChild))),
      settings: [...document.querySelectorAll(".facts div:has(code)")].map(one => getComputedStyle(one).gridColumnEnd),
      gaps: [...document.querySelectorAll(".scroll + .facts")].map(next =>
        next.getBoundingClientRect().top - next.previousElementSibling.getBoundingClientRect().bottom)}, "*"));"""
    for (_, width), row in at_both_widths({"recipe": render_recipe(report())}, watch, tmp_path).items():
        assert width - 20 <= row["window"] <= width, row
        assert row["page"] <= row["window"], row
        assert row["lines"] == 1, row
        assert row["settings"] == [{1280: "auto", 390: "-1"}[width]], "on a phone they have the whole width"
        assert row["gaps"], row
        assert min(row["gaps"]) >= 12, row


@needs_chromium
def test_a_stage_that_is_kept_has_all_its_figures_in_sight(tmp_path: Path) -> None:
    gain = IntervalGap(0.446, 0.294, 0.572, beyond_noise=True)
    judged = Judged(SCORE, SCORE, gain, 0.983, 42, 294)
    first, *_ = report().stages
    kept = replace(stage("partial", "kept", judged=judged, seconds=1080.0), title="Partial sources")
    page = render_recipe(replace(report(), stages=(first, kept), total=gain))
    watch = """addEventListener("load", () => {
      const table = document.querySelector("#story .scroll");
      parent.postMessage({name: location.hash.slice(1), shown: table.clientWidth, whole: table.scrollWidth}, "*")});"""
    found = {width: row for (_, width), row in at_both_widths({"recipe": page}, watch, tmp_path).items()}
    assert found[1280]["whole"] <= found[1280]["shown"], found
    assert found[1280]["shown"] > found[390]["shown"] > 0


def test_what_is_changed_to_nothing_is_told_so() -> None:
    assert "data.root=&#39;&#39;" in render_recipe(report())
