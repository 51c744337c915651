from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from multitask.reporting.study import space_plots
from multitask.reporting.study.report_schema import Param
from multitask.reporting.study.scales import SettingScale
from multitask.reporting.study.space_plots import pareto_front
from multitask.reporting.study.trial_marks import Mark, ScoreRange
from multitask.reporting.svg import WIDTH_PX

SVG = "{http://www.w3.org/2000/svg}"
MARKS = [Mark(0, "finished", 0.5, base=True), Mark(1, "pruned", 0.2), Mark(2, "finished", 0.6, best=True)]
SCORES = ScoreRange(0.2, 0.6, True)
LR = Param("lr", "float", 1e-4, 1e-2, True, None, None)
LOSS = Param("loss", "categorical", None, None, False, None, ("$a$", "<focal>", "x" * 40, "d", "e"))


def draw_slice(key="slice", param=LOSS, values=("$a$", "<focal>", "d"), marks=MARKS):
    trials = list(zip(marks, values, strict=True))
    scale = SettingScale(param, values)
    return space_plots.setting_slice(scale, trials, SCORES, ylabel="joint macro-F1", key=key, label="slice")


def draw_number_slice(key="slice"):
    return draw_slice(key, LR, (1e-3, 0, 1e-2))


def draw_parallel(key="lines", settings=({"lr": 1e-3, "loss": "d"}, {"lr": 0}, {"loss": "e"})):
    scales = {
        name: SettingScale(param, [row[name] for row in settings if name in row])
        for name, param in (("lr", LR), ("loss", LOSS))
    }
    trials = list(zip(MARKS, settings, strict=True))
    return space_plots.parallel(scales, trials, SCORES, ylabel="joint macro-F1", key=key, label="lines")


def draw_trade_off(key="trade", scores=SCORES, points=((0.9, 0.5), (0.95, 0.55), (0.8, 0.6)), maximize=(True, True)):
    trials = [(mark, *point) for mark, point in zip(MARKS, points, strict=True)]
    return space_plots.trade_off(trials, scores, xlabel="mask", ylabel="age", key=key, label="trade", maximize=maximize)


DRAWN = [draw_slice, draw_number_slice, draw_parallel, draw_trade_off]


def texts(svg):
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("draw", DRAWN)
def test_plot_can_stand_in_a_page(draw, check_plot):
    check_plot(draw)


def marks_at(svg):
    """The places of the trials' marks."""
    found = re.findall(r'<use [^>]*x="([-\d.]+)" y="([-\d.]+)" style="([^"]*)"', svg)
    return [(float(x), float(y)) for x, y, style in found if "stroke-width: 0.8" not in style]


def test_a_logarithmic_slice_spaces_by_ratio():
    marks = [Mark(number, "finished", 0.5) for number in range(3)]
    xs = sorted(x for x, _ in marks_at(draw_slice(param=LR, values=(1e-4, 1e-3, 1e-2), marks=marks)))
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1])
    assert xs[0] > 34


def test_what_lies_off_the_axis_has_a_tick_of_its_own():
    assert "0" in texts(draw_number_slice())


def test_trials_of_one_choice_stand_apart_but_near_it():
    marks = [Mark(number, "finished", 0.5) for number in range(30)]
    xs = sorted(x for x, _ in marks_at(draw_slice(values=["<focal>"] * 30, marks=marks)))
    column = (WIDTH_PX - 34 - 14) / 5
    assert len(set(xs)) == 30
    assert 34 + 1.2 * column < xs[0] < xs[-1] < 34 + 1.8 * column


def test_choices_are_shown_literally_and_shortened_where_they_would_touch():
    shown = [text.strip() for text in texts(draw_slice())]
    assert {"$a$", "<focal>", "d", "e"} <= set(shown)
    assert not any("x" * 20 in text for text in shown)
    assert any(text.startswith("xxx") for text in shown)


def test_a_score_beyond_the_axis_is_drawn_at_its_edge():
    marks = [Mark(0, "finished", -5.0), Mark(1, "finished", 0.5), Mark(2, "finished", 0.6)]
    ys = [y for _, y in marks_at(draw_slice(param=LR, values=(1e-3, 1e-3, 1e-3), marks=marks))]
    assert max(ys) == pytest.approx(24 + 156)


def test_parallel_coordinates_have_a_line_per_trial_the_best_heavy_and_the_base_dashed():
    styles = [style for style in re.findall(r'style="fill: none; ([^"]*)"', draw_parallel()) if "var(--score" in style]
    assert len(styles) == 3
    assert len([style for style in styles if "stroke-width: 3.4" in style and "var(--score-8" in style]) == 1
    assert len([style for style in styles if "var(--score-0" in style]) == 1
    assert draw_parallel().count("stroke-dasharray: 2.8,2.8") == 1


def test_a_line_passes_below_the_axes_that_its_trial_lacks():
    shown = texts(draw_parallel())
    assert shown.count("not set") == 2
    assert {"joint", "macro-F1", "lr", "loss", "<focal>", "$a$"} <= set(shown)
    lowest = [
        max(float(y) for y in re.findall(r"[ML] [-\d.]+ ([-\d.]+)", path))
        for path, style in re.findall(r'<path d="([^"]*)"[^>]*style="fill: none; ([^"]*)"', draw_parallel())
        if "var(--score" in style
    ]  # pixels from the top, the best one's line last
    assert lowest[0] == lowest[2] > lowest[1] + 20
    assert "not set" not in texts(draw_parallel(settings=[{"lr": 1e-3, "loss": "d"}] * 3))


def test_parallel_coordinates_widen_with_their_settings():
    assert space_plots.parallel_width(1) == WIDTH_PX
    widths = [space_plots.parallel_width(number) for number in (5, 6, 20)]
    assert widths[1] - widths[0] == pytest.approx((widths[2] - widths[1]) / 14)


@pytest.mark.parametrize(
    ("maximize", "expected"),
    [
        ((True, True), [(1, 4), (3, 3), (5, 1)]),
        ((True, False), [(5, 1)]),
        ((False, True), [(1, 4)]),
        ((False, False), [(1, 2), (4, 1)]),
    ],
)
def test_the_front_is_what_no_other_point_beats_in_both(maximize, expected):
    points = [(1, 2), (3, 3), (1, 4), (2, 3), (5, 1), (4, 1)]
    assert pareto_front(points, maximize) == expected


def test_an_empty_front_is_empty():
    assert pareto_front([], (True, True)) == []


@pytest.mark.parametrize("maximize", [(True, True), (False, False), (True, False), (False, True)])
def test_the_line_of_a_trade_off_bounds_what_its_points_beat(maximize):
    """Between two points of the front the line runs through the corner that is worse than both."""
    rising = maximize[0] != maximize[1]
    points = ((0.8, 0.5), (0.85, 0.55), (0.9, 0.6)) if rising else ((0.8, 0.6), (0.85, 0.55), (0.9, 0.5))
    svg = draw_trade_off(points=points, maximize=maximize)
    (path,) = re.findall(r'<path d="([^"]*)"[^>]*style="fill: none; [^"]*stroke-width: 1.2[^"]*"', svg)
    line = {(round(float(x)), round(float(y))) for x, y in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", path)}
    left, pruned, right = sorted((round(x), round(y)) for x, y in marks_at(svg))
    low, high = max(left[1], right[1]), min(left[1], right[1])  # pixels from the top
    worse = (left[0] if maximize[0] else right[0], low if maximize[1] else high)
    assert line == {left, right, worse}
    assert pruned not in line


def test_without_colours_a_trade_off_shows_states():
    assert "var(--score" not in draw_trade_off(scores=None)
    assert "var(--score" in draw_trade_off()
