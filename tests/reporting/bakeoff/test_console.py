from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from multitask.reporting import console
from multitask.reporting.bakeoff import console as bakeoff_console
from multitask.reporting.bakeoff.console import show_bakeoff
from multitask.reporting.bakeoff.report_schema import BakeoffReport, Budget
from multitask.reporting.bakeoff.text import budget_text, rate_text, size_text

Make = Callable[..., BakeoffReport]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a terminal of so many columns shows of a report."""

    def shown(report: BakeoffReport, columns: int) -> str:
        written = io.StringIO()
        out = Console(file=written, width=columns, highlight=False, force_terminal=True, color_system=None)
        monkeypatch.setattr(console, "out", out)
        monkeypatch.setattr(bakeoff_console, "out", out)
        show_bakeoff(report)
        return written.getvalue()

    return shown


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"points": (40, 80, "all"), "tune": True, "unseen": True},
        {"failed": ("shared",)},
        {"tasks": tuple(f"task_{n}" for n in range(9)), "seeds": 9},
    ],
)
def test_it_fits_the_terminal_and_says_all(
    make_report: Make, show: Callable[..., str], columns: int, settings: dict[str, Any]
) -> None:
    report = make_report(**settings)
    text = show(report, columns)
    rows = [line for line in text.splitlines() if "not shown for want of room" not in line]
    assert max(map(cell_len, rows)) <= columns
    assert "shared + logit adjustment beats flat by 6.0 points" in " ".join(text.split())
    for part in ("+6.0", "+2.0 to +10.0", "beyond noise", "159.4 MB", "2.23 M", "1,234"):
        assert part in text
    if settings.get("tune"):
        assert "tuned to training.lr 0.003" in text
        assert "unseen" in text


def test_a_task_that_decides_is_shown_once_and_its_images_are_said_to_be_so_labelled(
    make_report: Make, show: Callable[..., str]
) -> None:
    report = make_report()
    assert "whose" not in show(report, 120)
    text = show(replace(report, metric="tasks.age.macro_f1"), 120)
    assert "groups whose age is known, each answered once" in " ".join(text.split())
    (head,) = (line for line in text.splitlines() if "gender" in line)
    assert head.split() == ["joint", "(95%)", "tasks.age.macro_f1", "mask", "gender"]
    for row in report.last.scored.values():
        object.__setattr__(row, "joint", None)
    (head,) = (
        line for line in show(replace(report, metric="tasks.age.macro_f1"), 120).splitlines() if "gender" in line
    )
    assert head.split() == ["tasks.age.macro_f1", "mask", "gender"]


def test_words() -> None:
    assert budget_text(None) == "each its config's epochs"
    assert budget_text(Budget(images=6000)) == "6,000 training images a run"
    assert budget_text(Budget(seconds=120.0)) == "2 min of training a run"
    assert (size_text(159.44e6), size_text(2.5e9)) == ("159.4 MB", "2.50 GB")
    assert (rate_text(None), rate_text(1234.5), rate_text(12.34)) == ("–", "1,234", "12.3")
