from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from multitask.reporting.study import plots
from multitask.reporting.study.plots import Curve, Interval
from multitask.reporting.study.trial_marks import Mark, ScoreRange
from multitask.reporting.svg import PALETTE

SVG = "{http://www.w3.org/2000/svg}"
MARKS = [
    Mark(0, "finished", 0.5, base=True),
    Mark(1, "pruned", 0.3),
    Mark(2, "failed"),
    Mark(3, "finished", 0.45),
    Mark(4, "finished", 0.6, best=True),
    Mark(5, "waiting"),
    Mark(6, "finished", 0.55),
]
CURVES = [
    Curve(Mark(0, "finished", base=True), (1, 2, 3), (0.1, 0.3, 0.5)),
    Curve(Mark(1, "pruned"), (1, 2), (0.1, 0.2)),
    Curve(Mark(2, "failed"), (1,), (0.05,)),
    Curve(Mark(3, "finished"), (1, 2, 3), (0.1, 0.35, 0.45)),
    Curve(Mark(4, "finished", best=True), (1, 2, 3), (0.2, 0.4, 0.6)),
    Curve(Mark(5, "running"), (1, 2), (0.2, 0.3)),
]
ROWS = [
    Interval("base (trial 0)", 0.5, 0.45, 0.56, (0.49, 0.51)),
    Interval("trial 7", 0.53, 0.47, 0.58, full=False, strong=True),
    Interval("unknown", None),
]


def draw_history(key="history", marks=MARKS, maximize=True):
    scores = ScoreRange.of([mark.score for mark in marks], maximize)
    return plots.history(marks, scores, ylabel="joint macro-F1", key=key, label="history")


def draw_curves(key="curves", trials=CURVES):
    return plots.curves(trials, ylabel="macro-F1", key=key, label="curves")


def draw_importances(key="shares"):
    settings = [
        plots.Importance("training.lr", 0.25, "only in 7 of 30 trials"),
        plots.Importance("$<a>&$", 0.7),
        plots.Importance("x" * 90, 0.05, "only in 11,111 of 30,000 trials"),
    ]
    return plots.importances(settings, key=key, label="shares")


def draw_intervals(key="pooled", zero=False):
    return plots.intervals(ROWS, xlabel="score", key=key, label="intervals", zero=zero)


DRAWN = [draw_history, draw_curves, draw_importances, draw_intervals]


def texts(svg):
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("draw", DRAWN)
def test_plot_can_stand_in_a_page(draw, check_plot):
    check_plot(draw)


def lines(svg, *styles):
    """The points of every line whose style has all these words."""
    found = []
    for path, style in re.findall(r'<path d="([^"]*)"[^>]*style="(fill: none;[^"]*)"', svg):
        if all(re.search(rf"{re.escape(word)}(;|$|\)|,)", style) for word in styles):
            found.append([tuple(map(float, point)) for point in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", path)])
    return found


def marks_at(svg, colour):
    """The places of the marks of that colour."""
    return [
        (float(x), float(y))
        for x, y, style in re.findall(r'<use [^>]*x="([-\d.]+)" y="([-\d.]+)" style="([^"]*)"', svg)
        if style.startswith(f"fill: {colour}") and "stroke-width: 0.8" not in style
    ]


@pytest.mark.parametrize("maximize", [True, False])
def test_the_step_line_is_the_best_finished_score_so_far(maximize):
    ((*steps,),) = lines(draw_history(maximize=maximize), "stroke-width: 1.4", "stroke: currentColor")
    heights = [y for _, y in steps]  # pixels from the top
    assert heights == sorted(heights, reverse=maximize)
    assert len(set(heights)) == 2  # .5 and then .6; lower is better: .5 and then .45
    for (x, y), (next_x, next_y) in itertools.pairwise(steps):  # level until the trial that is better, and then upright
        assert x == next_x or y == next_y
    everything = [x for x, _ in marks_at(draw_history(maximize=maximize), "")]
    assert steps[-1][0] == pytest.approx(max(everything))


def test_failed_trials_stand_at_the_foot():
    places = re.findall(r'<use [^>]*x="([-\d.]+)" y="([-\d.]+)" style="[^"]*stroke-width: 1.4[^"]*"', draw_history())
    assert max(float(y) for _, y in places) == pytest.approx(28 + 206)
    assert len(places) == 2  # the pruned and the failed


@pytest.mark.parametrize(
    "marks",
    [
        [Mark(0, "finished", 0.5, base=True, best=True)],
        [Mark(3, "pruned", 0.2)],
        [Mark(0, "failed"), Mark(1, "waiting")],
    ],
)
def test_a_history_of_a_trial_or_two_can_be_drawn(marks):
    assert "trial" in texts(draw_history(marks=marks))


def test_the_best_and_the_base_are_heavy_and_named():
    svg = draw_curves()
    assert {"base", "best", "epoch", "macro-F1"} <= set(texts(svg))
    assert len(lines(svg, "stroke-width: 2.4")) == 2
    (base,) = lines(svg, "stroke-width: 2.4", f"stroke: {PALETTE[1].lower()}")
    (best,) = lines(svg, "stroke-width: 2.4", "stroke: currentColor")
    assert best[-1][1] < base[-1][1]


def test_thin_curves_are_solid_where_they_finished_and_dashed_where_they_were_stopped():
    svg = draw_curves()
    thin = re.findall(r'style="fill: none; ([^"]*)"', svg)
    dashed = [style for style in thin if "stroke-dasharray: 3,2" in style and "currentColor" in style]
    solid = [style for style in thin if "var(--blue" in style and "stroke-opacity: 0.5" in style]
    assert (len(dashed), len(solid)) == (2, 2)
    assert not any("dasharray" in style for style in solid)


def test_a_base_that_is_the_best_has_one_line_with_both_names():
    svg = draw_curves(trials=[Curve(Mark(0, "finished", base=True, best=True), (1, 2), (0.1, 0.2)), CURVES[1]])
    assert "base, best" in texts(svg)
    assert len(lines(svg, "stroke-width: 2.4")) == 1


def test_where_many_are_the_best_only_the_base_is_named():
    trials = [CURVES[0], *(Curve(Mark(n, "finished", best=True), (1, 2), (0.1, 0.1 * n)) for n in (7, 8))]
    svg = draw_curves(trials=trials)
    assert "base" in texts(svg)
    assert "best" not in texts(svg)
    assert len(lines(svg, "stroke-width: 2.4")) == 1


def test_curves_of_one_epoch_can_be_seen():
    svg = draw_curves(trials=[Curve(Mark(1, "finished"), (1,), (0.5,))])
    assert len(marks_at(svg, "var(--blue")) == 1


def test_importances_are_sorted_and_written():
    shown = texts(draw_importances())
    places = [shown.index(text) for text in ("$<a>&$", "training.lr, only in 7 of 30 trials")]
    assert places == sorted(places)
    assert {"70%", "25%", "5%"} <= set(shown)
    assert max(map(len, shown)) <= 48


def test_intervals_have_their_dots_bars_and_ticks():
    svg = draw_intervals()
    assert {"base (trial 0)", "trial 7", "unknown", "score"} <= set(texts(svg))
    assert len(lines(svg, "stroke-width: 3.5")) == 2
    assert len(marks_at(svg, "var(--blue")) == 1
    assert len(marks_at(svg, "var(--paper")) == 1  # the open one
    assert re.search(r"font-weight: 700[^>]*>trial 7<", svg)
    assert not re.search(r"font-weight: 700[^>]*>base", svg)
    assert not lines(svg, "stroke-width: 1.1")
    assert len(lines(draw_intervals(zero=True), "stroke-width: 1.1")) == 1
