from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from multitask.reporting.bakeoff.page import render_bakeoff
from multitask.reporting.bakeoff.report_schema import BakeoffReport
from tests.browser import browser, needs_chromium


@needs_chromium
def test_the_policy_forbids_nothing_of_the_page(make_report: Callable[..., BakeoffReport], tmp_path: Path) -> None:
    path = tmp_path / "bakeoff.html"
    path.write_text(render_bakeoff(make_report(points=(40, "all"), unseen=True)), encoding="utf-8")
    with browser(tmp_path / "profile") as chromium:
        chromium.watch()
        chromium.open(path)
        assert chromium.troubles() == []
        assert chromium.run("getComputedStyle(document.querySelector('dl.cards')).display") != "block"
