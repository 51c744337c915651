from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from multitask.reporting.run.curves import JOINT, Line, _spread, learning_curves
from multitask.reporting.svg import PALETTE


def draw_curves(name="mask"):
    lines = [Line("joint", (0.1, None, 0.5), JOINT), Line(name, (0.2, 0.4, 0.8), 0), Line("empty", (None,) * 3, 1)]
    return learning_curves([1, 2, 3], lines, ylabel="macro-F1", key="curves", label="curves", best_epoch=2)


def texts(svg):
    found = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(node.itertext()) for node in found]


@pytest.mark.parametrize("name", ["<script>", "a&b", "$x_1$ or $y$", "#010203"])
def test_line_names_are_shown_literally(name):
    assert name in texts(draw_curves(name=name))


def test_curves_name_their_lines_and_mark_the_best_epoch():
    shown = texts(draw_curves())
    assert {"joint", "mask", "kept: epoch 2", "epoch", "macro-F1"} <= set(shown)
    assert "empty" not in shown


def test_a_stroke_wins_over_the_dash_of_its_style():
    def dashed(stroke):
        lines = [Line("mask", (0.1, 0.2), 1, stroke)]
        svg = learning_curves([1, 2], lines, ylabel="y", key="k", label="l")
        found = re.findall(r'<path d="[^"]*"[^>]*style="fill: none; ([^"]*)"', svg)
        curves = [style for style in found if PALETTE[1].lower() in style and "1.6" in style]
        return [(re.findall(r"stroke-dasharray: ([^;]*)", curve) or [None])[0] for curve in curves]

    (own,), (solid,), (broken,) = map(dashed, ("own", "solid", "dashed"))
    assert solid is None
    assert own
    assert broken
    assert own != broken


@pytest.mark.parametrize("values", [(0.5,), (float("0.25"),)])
def test_a_single_epoch_can_be_drawn(values):
    svg = learning_curves([1], [Line("joint", values, JOINT)], ylabel="y", key="k", label="l", best_epoch=1)
    assert "joint" in texts(svg)


def test_spread_keeps_order_and_distance():
    at = [50.0, 10.0, 51.0, 99.0, 98.0, 52.0]
    moved = _spread(at, 14, 100)
    assert sorted(range(6), key=moved.__getitem__) == sorted(range(6), key=at.__getitem__)
    assert min(b - a for a, b in zip(sorted(moved), sorted(moved)[1:], strict=False)) >= 14 - 1e-9
    assert max(moved) <= 107
