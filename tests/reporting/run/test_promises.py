from __future__ import annotations

from xml.etree import ElementTree

import pytest

from multitask.evaluation.promise_schema import AskScores, RiskCurveScores, RiskPoint, SelectiveScores, SetScores
from multitask.reporting.run.promises import areas_in_words, asks_in_words, risk_curves, sets_in_words

POINTS = tuple(RiskPoint(answered=step / 4, error=step / 20) for step in range(1, 5))
CURVES = {name: RiskCurveScores(aurc=0.125, points=POINTS) for name in ("mask", "<b>", "joint")}


def test_the_curves_are_named_at_their_ends_and_the_axes_are_named() -> None:
    found = ElementTree.fromstring(risk_curves(CURVES, key="risk"))
    shown = {"".join(node.itertext()) for node in found.iter("{http://www.w3.org/2000/svg}text")}
    assert {"mask", "<b>", "joint", "error among the answered", "share answered, the most confident first"} <= shown
    assert "joint .125, mask .125, <b> .125" in found.attrib["aria-label"]


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_a_flat_curve_is_drawn(error: float) -> None:
    points = tuple(RiskPoint(answered=step / 4, error=error) for step in range(1, 5))
    assert risk_curves({"joint": RiskCurveScores(aurc=error, points=points)}, key="risk").startswith("<svg")


def test_lines_for_the_console() -> None:
    rows = (
        SetScores(coverage=0.8),
        SetScores(coverage=0.9, observed=0.912, observed_ci=(0.9, 0.92), mean_size=1.2, mean_size_ci=(1.1, 1.3)),
    )
    assert sets_in_words({"mask": rows, "joint": rows}, 0.9) == (
        "sets that promise .90: size on average, share that holds the right label: joint 1.20, .912; mask 1.20, .912"
    )
    assert sets_in_words({"mask": rows}, 0.8) == sets_in_words({}, 0.9) == ""
    nothing = AskScores(max_risk=0.01, answered=0.0, error=None, error_ci=None)
    some = AskScores(max_risk=0.1, answered=0.65, error=0.04, error_ci=(0.02, 0.06))
    assert asks_in_words(SelectiveScores(curves={}, at=(nothing, some))) == (
        "share answered at a risk, the rest asked: .650 at .10 (error .040)"
    )
    assert asks_in_words(SelectiveScores(curves={}, at=(nothing,))) == ""
    assert areas_in_words(CURVES) == "joint .125, mask .125, <b> .125"
    known = RiskCurveScores(aurc=0.125, points=POINTS, aurc_ci=(0.1, 0.15))
    assert areas_in_words({"mask": known}) == "mask .125 (.100 to .150)"
