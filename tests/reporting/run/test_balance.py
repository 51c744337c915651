from __future__ import annotations

from typing import Any

import pytest

from multitask.progress import EpochRecord, TrainingScores
from multitask.reporting.run import curves
from multitask.reporting.run.balance import BalanceView, balance_view
from multitask.reporting.run.curves import JOINT, Line, learning_curves

STYLES = {"mask": 0, "gender": 1, "age": 2}


def history(weights: list[dict[str, float]] | None, conflict: list[Any] | None) -> list[EpochRecord]:
    num = len(weights or conflict or [])
    return [
        EpochRecord(
            epoch=i + 1,
            train=TrainingScores(weights=(weights or [{}] * num)[i], conflict=(conflict or [None] * num)[i]),
            best=False,
        )
        for i in range(num)
    ]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[list[Line], Any]]:
    """The lines of each plot, which is not drawn."""
    found: dict[str, tuple[list[Line], Any]] = {}

    def draw(epochs: Any, lines: Any, *, key: str, level: float, **rest: Any) -> str:
        found[key] = (list(lines), level)
        return "plot"

    monkeypatch.setattr(curves, "learning_curves", draw)
    return found


def test_weights_that_never_differ_from_1_are_left_out(drawn: dict[str, Any]) -> None:
    ones = dict.fromkeys(STYLES, 1.0)
    assert balance_view(history([ones] * 3, None), STYLES) == BalanceView((), None)
    assert balance_view([], STYLES) == BalanceView((), None)
    assert (
        balance_view(
            [EpochRecord(epoch=1, train=TrainingScores(loss=1.0), best=True), EpochRecord(epoch=2, best=False)], STYLES
        ).plots
        == ()
    )


def test_weights_that_move_or_are_set_are_drawn(drawn: dict[str, Any]) -> None:
    rows = [{"mask": 1.0, "gender": 1.0, "joint": 1.0}, {"mask": 1.2, "gender": 0.8, "joint": 1.0}]
    found = balance_view(history(rows, None), STYLES)
    assert [plot.title for plot in found.plots] == ["Weights"]
    lines, level = drawn["loss-weights"]
    assert [(line.name, line.values, line.style) for line in lines] == [
        ("mask", (1.0, 1.2), 0),
        ("gender", (1.0, 0.8), 1),
        ("joint", (1.0, 1.0), JOINT),
    ]
    assert level == 1
    fixed = balance_view(history([{"mask": 0.5, "gender": 1.0}] * 2, None), STYLES)
    assert len(fixed.plots) == 1


def test_conflict_is_drawn_with_its_zero_line(drawn: dict[str, Any]) -> None:
    rows = [{"mask": {"gender": 0.5, "age": None}, "gender": {"age": -0.25}}, None]
    found = balance_view(history(None, rows), STYLES)
    assert [plot.title for plot in found.plots] == ["Conflict"]
    lines, level = drawn["conflict"]
    assert [(line.name, line.values) for line in lines] == [
        ("mask / gender", (0.5, None)),
        ("gender / age", (-0.25, None)),
    ]
    assert level == 0


def test_many_pairs_are_cut_to_those_that_agree_least(drawn: dict[str, Any]) -> None:
    rows = [{"a": {f"b{place}": place / 10 for place in range(9)}}]
    found = balance_view(history(None, rows), {})
    assert [line.name for line in drawn["conflict"][0]] == [f"a / b{place}" for place in range(6)]
    assert "Of 9 pairs the 6 with the lowest cosines." in found.plots[0].words


def test_level_is_within_the_plot_wherever_the_values_are(check_plot: Any) -> None:
    def draw(key: str) -> str:
        lines = [Line("a / b", (0.5, None, 0.6), 0)]
        return learning_curves([1, 2, 3], lines, ylabel="cosine", key=key, label="x", level=0)

    check_plot(draw)
    plain = learning_curves([1, 2, 3], [Line("a / b", (0.5, None, 0.6), 0)], ylabel="cosine", key="k1", label="x")
    assert ">0<" in draw("k1")
    assert ">0<" not in plain
