from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from multitask.reporting.study import weight_plots
from multitask.reporting.study.trial_marks import Mark, ScoreRange
from multitask.reporting.svg import WIDTH_PX

SVG = "{http://www.w3.org/2000/svg}"
SCORES = ScoreRange(0.2, 0.6, True)
MARKS = [Mark(0, "finished", 0.5, base=True), Mark(1, "pruned", 0.2), Mark(2, "finished", 0.6, best=True)]
WEIGHTS = [(1, 1, 1, 1), (0.4, 0.2, 2, 1.4), (1.5, 0.5, 0.7, 0.3)]


def draw(tasks, trials, key="k"):
    rows = [(mark, dict(zip(tasks, weights, strict=True))) for mark, weights in trials]
    return weight_plots.head_weights(tasks, rows, SCORES, ylabel="joint macro-F1", key=key, label="weights")


def draw_some(number, key):
    tasks = ["mask", "$<gender>$", "a task whose name goes on and on", "pose"][:number]
    return draw(tasks, [(mark, weights[:number]) for mark, weights in zip(MARKS, WEIGHTS, strict=True)], key)


def draw_line(key="k"):
    return draw_some(2, key)


def draw_triangle(key="k"):
    return draw_some(3, key)


def draw_strips(key="k"):
    return draw_some(4, key)


DRAWN = [draw_line, draw_triangle, draw_strips]


def texts(svg):
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("draw", DRAWN)
def test_plot_can_stand_in_a_page(draw, check_plot):
    check_plot(draw)


def marks_at(svg):
    """The places of the trials' marks."""
    found = re.findall(r'<use [^>]*x="([-\d.]+)" y="([-\d.]+)" style="([^"]*)"', svg)
    return [(float(x), float(y)) for x, y, style in found if "var(--score" in style]


def named_at(svg, name):
    """Where a name is written."""
    (node,) = [node for node in ElementTree.fromstring(svg).iter(f"{SVG}text") if "".join(node.itertext()) == name]
    return float(node.attrib["x"]), float(node.attrib["y"])


@pytest.mark.parametrize("place", range(3))
def test_a_head_that_has_all_the_weight_stands_at_its_corner(place):
    tasks = ["mask", "gender", "age"]
    weights = [0.0, 0.0, 0.0]
    weights[place] = 3.0
    svg = draw(tasks, [(Mark(1, "finished", 0.5), weights)])
    ((x, y),) = marks_at(svg)
    corners = {name: named_at(svg, name) for name in tasks}
    nearest = min(tasks, key=lambda name: abs(corners[name][0] - x) + abs(corners[name][1] - y))
    assert nearest == tasks[place]


def test_equal_weights_stand_in_the_middle_of_the_triangle_whatever_their_sum():
    svg = draw(["a", "b", "c"], [(Mark(1, "finished", 0.5), (1, 1, 1)), (Mark(2, "finished", 0.5), (7, 7, 7))])
    (first, second) = marks_at(svg)
    assert first == pytest.approx(second)
    assert first[0] == pytest.approx(WIDTH_PX / 2)


def test_two_heads_share_an_axis_below_the_score():
    svg = draw(["mask", "age"], [(Mark(1, "finished", 0.6), (1.5, 0.5)), (Mark(2, "finished", 0.2), (0.5, 1.5))])
    right, left = sorted(marks_at(svg), reverse=True)
    assert left[1] < right[1]  # the better is higher, and the weight of the second grows to the right
    assert {"all to mask", "all to age", "1 : 1", "2 : 0"} <= set(texts(svg))


def test_more_heads_have_a_row_each():
    svg = draw_strips()
    assert len(marks_at(svg)) == 3 * 4
    assert {"mask", "$<gender>$", "pose"} <= set(texts(svg))
