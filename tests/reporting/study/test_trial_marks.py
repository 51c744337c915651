from __future__ import annotations

import re
from importlib import resources

import numpy as np
import pytest

from multitask.reporting.study.trial_marks import Mark, ScoreRange, draw_marks
from multitask.reporting.svg import INK, PALETTE, PAPER, SCALE

USUAL = [0.50, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56, 0.57]


class Canvas:
    """Stands in for a plot's axes, and holds what was drawn."""

    def __init__(self):
        self.drawn = []

    def plot(self, xs, ys, **look):
        self.drawn.append((list(zip(xs, ys, strict=True)), look))


def draw(marks, scores=None):
    canvas = Canvas()
    draw_marks(canvas, [(mark.number, 0.5, mark) for mark in marks], scores)
    return {points[0][0]: look for points, look in canvas.drawn}


def test_each_kind_of_trial_has_a_shape_and_a_colour_of_its_own():
    looks = draw(
        [
            Mark(0, "finished", base=True),
            Mark(1, "finished"),
            Mark(2, "pruned"),
            Mark(3, "failed"),
            Mark(4, "finished", best=True),
            Mark(5, "finished", base=True, best=True),
        ]
    )
    assert [looks[number]["marker"] for number in range(6)] == ["s", "o", "v", "x", "*", "*"]
    faces = [PALETTE[1], PALETTE[0], PAPER, INK, INK, PALETTE[1]]
    assert [looks[number]["markerfacecolor"] for number in range(6)] == faces
    assert min(looks[number]["zorder"] for number in (0, 4, 5)) > looks[1]["zorder"]


def test_marks_take_the_colours_of_their_scores():
    scores = ScoreRange(0.0, 1.0, True)
    looks = draw([Mark(0, "finished", 0.0), Mark(1, "finished", 1.0), Mark(2, "pruned", 0.5)], scores)
    assert looks[0]["markerfacecolor"] == SCALE[0]
    assert looks[1]["markerfacecolor"] == SCALE[-1]
    assert (looks[2]["markerfacecolor"], looks[2]["markeredgecolor"]) == (PAPER, SCALE[len(SCALE) // 2])


def test_trials_that_look_alike_are_drawn_together():
    canvas = Canvas()
    draw_marks(canvas, [(number, 0.1, Mark(number, "finished")) for number in range(5)])
    ((points, _),) = canvas.drawn
    assert points == [(number, 0.1) for number in range(5)]


def test_jitter_spreads_evenly_and_always_alike():
    found = [Mark(number, "finished").jitter for number in range(40)]
    assert found == [Mark(number, "pruned").jitter for number in range(40)]
    assert -0.5 <= min(found) < -0.45
    assert 0.45 < max(found) <= 0.5
    assert len({round(value, 6) for value in found}) == 40


@pytest.mark.parametrize("maximize", [True, False])
def test_scores_far_worse_than_the_others_go_to_the_edge(maximize):
    sign = 1 if maximize else -1
    scores = ScoreRange.of([*(sign * score for score in USUAL), sign * 0.05], maximize)
    low, high = scores.limits
    assert {scores.low, scores.high} == {sign * 0.50, sign * 0.57}
    assert scores.num_outside == 1
    assert scores.clip(sign * 0.05) == (low if maximize else high)
    assert scores.clip(sign * 0.53) == sign * 0.53
    assert scores.share(sign * 0.05) == 0
    assert scores.ends[0].startswith("≤ .500" if maximize else "≥ −.500")


def test_a_score_far_better_than_the_others_stays_where_it_is():
    scores = ScoreRange.of([*USUAL, 0.95])
    assert (scores.high, scores.num_outside) == (0.95, 0)
    assert scores.clip(0.95) == 0.95


@pytest.mark.parametrize("found", [[0.1, 0.9], [0.5] * 20 + [0.4], [0.05, *USUAL[:6]]])
def test_few_or_equal_scores_are_all_shown(found):
    scores = ScoreRange.of(found)
    assert (scores.low, scores.high, scores.num_outside) == (min(found), max(found), 0)


@pytest.mark.parametrize("maximize", [True, False])
def test_the_better_the_stronger_the_colour(maximize):
    scores = ScoreRange(0.2, 0.8, maximize)
    colours = [scores.colour(0.2 + 0.6 * step / 20) for step in range(21)]
    order = [SCALE.index(colour) for colour in colours]
    assert order == sorted(order, reverse=not maximize)
    assert set(order) == set(range(len(SCALE)))
    assert scores.ends == ((".200", ".800") if maximize else (".800", ".200"))


def test_a_single_score_is_the_best_and_stands_in_the_middle():
    scores = ScoreRange.of([0.5, None])
    assert scores.colour(0.5) == SCALE[-1]
    assert scores.place(0.5) == 0.5
    assert scores.limits[0] < 0.5 < scores.limits[1]
    assert scores.ticks(5) == [(0.5, ".500"), (0.5, ".500")]


@pytest.mark.parametrize("found", [[], [None]])
def test_without_scores_the_range_is_that_of_a_score(found):
    assert ScoreRange.of(found) == ScoreRange(0.0, 1.0, True)


def test_a_range_counts_the_scores_that_it_leaves_at_its_edge():
    scores = ScoreRange(0.5, 0.6, True).including([0.1, None, 0.55, 0.49, 0.6])
    assert scores.num_outside == 2
    assert scores.ends == ("≤ .500", ".600")


def test_ticks_are_round_and_inside():
    assert ScoreRange(0.47, 0.62, True).ticks(4) == [
        (pytest.approx(0.03 / 0.15), ".500"),
        (pytest.approx(0.08 / 0.15), ".550"),
        (pytest.approx(0.13 / 0.15), ".600"),
    ]


def luminance(colour):
    """Relative luminance as WCAG defines it."""
    channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ (
        0.2126,
        0.7152,
        0.0722,
    )


def test_the_steps_of_a_score_stand_out_on_both_pages_the_best_most():
    style = resources.files("multitask.reporting").joinpath("templates/_style.html").read_text(encoding="utf-8")
    papers = re.findall(r"--paper: (#\w+)", style)
    found = re.findall(r"--score-(\d): (#\w+)", style)
    steps = len(SCALE)
    assert [int(step) for step, _ in found] == [*range(steps), *range(steps)]
    assert [colour for _, colour in found[:steps]] == list(SCALE)
    for paper, colours in zip(papers, (found[:steps], found[steps:]), strict=True):
        lights = [luminance(colour) for _, colour in colours]
        contrasts = [(max(light, luminance(paper)) + 0.05) / (min(light, luminance(paper)) + 0.05) for light in lights]
        assert contrasts == sorted(contrasts)
        assert contrasts[0] >= 3
