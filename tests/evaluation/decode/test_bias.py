from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.evaluation.decode import JointSettings, LabelledOutputs, ModelOutputs
from multitask.evaluation.decode.base import best_cell, macro_f1
from multitask.evaluation.decode.bias import LIMIT, ClassBias, ClassBiasSettings, HeadBias, HeadBiasSettings, best_move
from multitask.labels import LabelSpace, Task


@given(seed=st.integers(0, 9999), rows=st.integers(1, 25), digits=st.integers(0, 3), at=st.floats(-3, 3))
@settings(deadline=None, max_examples=150)
def test_the_best_move_is_that_of_brute_force(seed: int, rows: int, digits: int, at: float) -> None:
    """Also where thresholds are equal, which few digits make them."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=(4, rows)), digits)
    classes = rng.integers(0, 4, rows)
    inside = np.array([[0], [3], [1, 2]][seed % 3])
    outside = np.setdiff1d(np.arange(4), inside)
    (after, high), (before, low) = best_cell(scores, inside), best_cell(scores, outside)
    moved, total = best_move(classes, before, after, low - high, at, 4)

    def value(move: float) -> float:
        changed = scores.copy()
        changed[inside] += move
        return 4 * macro_f1(classes, best_cell(changed)[0], np.ones(4, dtype=bool))

    levels = np.unique(np.round(low - high, 12))
    tried = [levels[0] - 1, *(levels[:-1] + levels[1:]) / 2, levels[-1] + 1]
    tried = [move for move in tried if abs(at + move) <= LIMIT]
    if not tried:
        assert total == -np.inf
        return
    assert total == pytest.approx(max(map(value, tried)))
    assert total == pytest.approx(value(moved))
    assert abs(moved) == pytest.approx(min(abs(move) for move in tried if value(move) > total - 1e-9))


def test_the_best_f1_of_a_toy_is_found() -> None:
    """Two classes, where all that a bias can do is to cut a sorted list: the best cut is found by trying each."""
    space = LabelSpace([Task("size", ("s", "l"))])
    log_odds = np.array([-2.0, -1.2, -0.9, -0.5, -0.1, 0.4, 1.5, 1.9])
    classes = np.array([0, 0, 1, 0, 1, 1, 1, 1])
    outputs = ModelOutputs(space, {"size": np.stack([-np.logaddexp(0, log_odds), -np.logaddexp(0, -log_odds)], axis=1)})
    known = LabelledOutputs(outputs, classes[:, None], np.arange(8).astype(str).astype(object))
    possible = space.possible
    best = max(macro_f1(classes, (np.arange(8) >= cut).astype(int), possible) for cut in range(9))
    plain = JointSettings().fit(known, None, 0).decode(outputs)
    assert macro_f1(classes, plain, possible) < best
    for rule in (ClassBiasSettings(), HeadBiasSettings()):
        assert macro_f1(classes, rule.fit(known, None, 0).decode(outputs), possible) == best


def test_biases_of_heads_are_as_good_as_the_best_of_a_grid(make_known: Callable[..., LabelledOutputs]) -> None:
    known = make_known(rows=60, signal=1.0)
    fitted = HeadBiasSettings().fit(known, None, 0)
    assert isinstance(fitted, HeadBias)
    found = macro_f1(known.classes, fitted.decode(known.outputs), known.space.possible)
    levels = np.linspace(-1.5, 1.5, 5)
    grid = []
    for a, b, c in itertools.product(levels, repeat=3):
        rule = HeadBias(temperatures=fitted.temperatures, biases={"size": (0.0, a, b), "colour": (0.0, c)})
        grid.append(macro_f1(known.classes, rule.decode(known.outputs), known.space.possible))
    assert found >= max(grid) - 0.03  # coordinate ascent may end on a hill beside the highest
    assert found > macro_f1(known.classes, best_cell(known.outputs.scores())[0], known.space.possible)


def test_in_a_flat_space_the_biases_of_the_head_are_those_of_the_classes(
    make_known: Callable[..., LabelledOutputs],
) -> None:
    known = make_known(make_known().space.flattened())
    head, whole = HeadBiasSettings().fit(known, None, 0), ClassBiasSettings().fit(known, None, 0)
    assert isinstance(head, HeadBias)
    assert isinstance(whole, ClassBias)
    assert head.biases["class"] == whole.biases


def test_freer_biases_suit_the_groups_they_are_fitted_on_better(make_known: Callable[..., LabelledOutputs]) -> None:
    known = make_known(rows=150, signal=0.7)
    scores = [
        macro_f1(known.classes, rule.fit(known, None, 0).decode(known.outputs), known.space.possible)
        for rule in (JointSettings(), HeadBiasSettings(), ClassBiasSettings())
    ]
    assert scores == sorted(scores)
    assert scores[2] > scores[0] + 0.05


def test_cells_that_cannot_occur_have_no_bias(make_known: Callable[..., LabelledOutputs]) -> None:
    tasks = make_known().space.tasks
    space = LabelSpace(tasks, [{"size": "s", "colour": "red"}])
    fitted = ClassBiasSettings().fit(make_known(space), None, 0)
    assert isinstance(fitted, ClassBias)
    assert fitted.biases[0] == 0.0
    assert np.mean(fitted.biases[1:]) == pytest.approx(0)


def test_class_biases_of_very_many_classes_are_refused():
    assert ClassBiasSettings().problem(1000) is None
    assert ClassBiasSettings().problem(1001) == (
        "class_bias: is for at most 1,000 classes, found 1,001; head_bias is for more"
    )
