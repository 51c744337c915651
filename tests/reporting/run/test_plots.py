from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import pytest

from multitask.evaluation.scores import ReliabilityBin
from multitask.reporting.run import plots
from multitask.reporting.run.curves import JOINT, Line, learning_curves
from multitask.reporting.svg import INK, PAPER, SMALL_PX, WIDTH_PX

SVG = "{http://www.w3.org/2000/svg}"
BINS = [
    ReliabilityBin(low=0.0, high=0.5, count=0, confidence=None, accuracy=None),
    ReliabilityBin(low=0.5, high=0.75, count=4, confidence=0.6, accuracy=0.5),
    ReliabilityBin(low=0.75, high=1.0, count=12, confidence=0.9, accuracy=0.8),
]
NASTY = ["<script>", "a&b", "$x_1$ or $y$", "#010203", "日本", "line\nbreak"]


def draw_curves(key="curves"):
    lines = [Line("joint", (0.1, None, 0.5), JOINT), Line("mask", (0.2, 0.4, 0.8), 0), Line("empty", (None,) * 3, 1)]
    return learning_curves([1, 2, 3], lines, ylabel="macro-F1", key=key, label="curves", best_epoch=2)


def draw_distribution(key="distribution", names=("a", "b")):
    counts = list(range(1233, 1233 + len(names)))
    splits = {"train": counts, "val": [0] * len(names)}
    return plots.distribution(names, splits, key=key, label="distribution")


def draw_attribution(key="attribution", names=("mask", "age")):
    lost = {name: 0.01 * (place + 1) for place, name in enumerate(names)}
    return plots.attribution(lost, dict.fromkeys(lost, 0.05), absent=0.003, key=key, label="lost")


def draw_reliability(key="reliability"):
    return plots.reliability(BINS, key=key, label="reliability")


def draw_confusion(key="confusion"):
    return plots.confusion([[3, 1], [0, 2]], key=key, label="confusion")


DRAWN = [draw_curves, draw_distribution, draw_attribution, draw_reliability, draw_confusion]


def texts(svg):
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("draw", DRAWN)
def test_svg_takes_the_page_colours_and_font(draw):
    svg = draw()
    assert "currentColor" in svg
    for foreign in (INK, PAPER, "#000000", "DejaVu", "<style", "<metadata", "https://", "xlink"):
        assert foreign not in svg, foreign


@pytest.mark.parametrize("draw", DRAWN)
def test_ids_carry_the_key_and_references_resolve(draw):
    svg = draw(key="k1")
    ids = re.findall(r'\sid="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert all(name == "k1" or name.startswith("k1-") for name in ids)
    references = re.findall(r'(?:url\(#|href="#)([^)"]+)', svg)
    assert set(references) <= set(ids)
    assert references
    assert not set(ids) & set(re.findall(r'\sid="([^"]+)"', draw(key="k2")))


@pytest.mark.parametrize("draw", DRAWN)
def test_no_letter_is_too_small_for_a_phone(draw):
    svg = draw()
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: (?:[\w ]+ )?([\d.]+)px", svg)]
    assert len(sizes) == len(texts(svg)) > 0
    assert min(sizes) >= SMALL_PX >= 11
    if draw is not draw_confusion:  # which scrolls sideways instead
        assert float(ElementTree.fromstring(svg).attrib["width"]) == WIDTH_PX <= 358


@pytest.mark.parametrize("draw", DRAWN)
def test_same_input_gives_same_characters(draw):
    assert draw() == draw()


@pytest.mark.parametrize("draw", [draw_distribution, draw_attribution])
def test_names_are_shown_literally(draw):
    shown = texts(draw(names=NASTY))
    for name in NASTY:
        assert " ".join(name.split()) in shown


def test_label_is_escaped():
    svg = plots.reliability(BINS, key="k", label='"><script>&')
    assert ElementTree.fromstring(svg).attrib["aria-label"] == '"><script>&'


def test_settings_of_matplotlib_are_left_alone():
    before = dict(matplotlib.rcParams)
    for draw in DRAWN:
        draw()
    assert dict(matplotlib.rcParams) == before


def test_distribution_shows_every_count_and_split():
    shown = texts(draw_distribution())
    assert {"1,233", "1,234", "train", "val", "a", "b"} <= set(shown)
    assert shown.count("0") == 2


def test_attribution_is_sorted_by_loss_and_shows_it():
    shown = texts(draw_attribution())
    places = [shown.index(name) for name in ("age", "mask", "absent classes")]
    assert places == sorted(places)
    assert {".010", ".020", ".003"} <= set(shown)


def test_attribution_without_absent_classes_or_with_an_unknown_head():
    svg = plots.attribution({"mask": 0.1, "age": None}, {"mask": None}, absent=0.0, key="k", label="l")
    assert "absent classes" not in texts(svg)
    assert "age" not in texts(svg)


def test_reliability_draws_one_point_per_bin_that_has_images():
    point = r"fill: var\(--blue, #0072B2\); stroke: var\(--paper"
    assert len(re.findall(point, draw_reliability())) == 2
    empty = [replace(row, count=0, confidence=None, accuracy=None) for row in BINS]
    assert not re.findall(point, plots.reliability(empty, key="k", label="l"))
    assert "accuracy" in "".join(texts(plots.reliability([], key="k", label="l")))


def test_confusion_labels_both_axes():
    shown = " ".join(texts(draw_confusion()))
    assert "given" in shown
    assert "predicted" in shown
    assert "data:image/png;base64," in draw_confusion()
