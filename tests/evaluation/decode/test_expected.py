from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.evaluation.decode import LabelledOutputs, Priors
from multitask.evaluation.decode.base import macro_f1
from multitask.evaluation.decode.expected import ExpectedF1, ExpectedF1Settings, optimise
from multitask.evaluation.metrics import f1_scores
from multitask.labels import LabelSpace, Task


def promised(probs: np.ndarray, predicted: np.ndarray) -> float:
    """The macro-F1 that (C, N) posteriors promise."""
    size, num = probs.shape
    hits = np.bincount(predicted, weights=probs[predicted, np.arange(num)], minlength=size)
    return float(f1_scores(hits, probs.sum(axis=1), np.bincount(predicted, minlength=size)).mean())


def decide(probs: np.ndarray, gains: np.ndarray, costs: np.ndarray) -> np.ndarray:
    found: np.ndarray = (gains[:, None] * (2 * probs - costs[:, None])).argmax(axis=0)
    return found


@given(seed=st.integers(0, 999), size=st.integers(2, 3), rows=st.integers(3, 7))
@settings(deadline=None, max_examples=60)
def test_it_comes_near_the_best_of_all_answers(seed: int, size: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(0.5 * (1 + np.arange(size)), rows).T
    space = LabelSpace([Task("size", tuple("abc"[:size]))])
    found = promised(probs, decide(probs, *optimise(probs, space)))
    best = max(promised(probs, np.array(answers)) for answers in itertools.product(range(size), repeat=rows))
    assert promised(probs, probs.argmax(axis=0)) - 1e-12 <= found <= best + 1e-12
    # So few images leave no room between one answer and the next; with more the gap closes, as below. The widest of all
    # that can be drawn here is 0.059.
    assert found >= best - 0.06


def test_two_images_that_are_all_but_alike_are_answered_alike() -> None:
    """One of each class would promise more, but no rule of the kind, as it is fitted, tells them apart."""
    space = LabelSpace([Task("size", ("s", "l"))])
    probs = np.array([[0.4725, 0.4728], [0.5275, 0.5272]])
    assert decide(probs, *optimise(probs, space)).tolist() == [1, 1]
    assert promised(probs, np.array([1, 1])) > promised(probs, np.array([0, 0]))
    assert promised(probs, np.array([1, 0])) > promised(probs, np.array([1, 1])) + 0.15


def test_with_two_classes_and_many_images_it_is_the_best_cut() -> None:
    """The best answer of two classes cuts the list sorted by probability, so every answer can be tried."""
    space = LabelSpace([Task("size", ("s", "l"))])
    for seed in range(5):
        rare = np.sort(np.random.default_rng(seed).beta(0.4, 3, 400))
        probs = np.stack([1 - rare, rare])
        best = max(promised(probs, (np.arange(400) >= cut).astype(int)) for cut in range(401))
        found = promised(probs, decide(probs, *optimise(probs, space)))
        assert found == pytest.approx(best, abs=1e-3)
        assert found > promised(probs, probs.argmax(axis=0)) + 0.01


def test_it_beats_the_arg_max_on_groups_it_never_saw(make_known: Callable[..., LabelledOutputs]) -> None:
    """Answers that hold no prior, of classes that are not equally frequent: what the prior is must be told."""
    known, fresh = make_known(rows=200, seed=1, signal=2.0), make_known(rows=4000, seed=2, signal=2.0)
    shares = {
        task.name: np.log(np.bincount(column, minlength=task.num_classes) / len(fresh))
        for task, column in zip(fresh.space.tasks, fresh.labels.T, strict=True)
    }
    uniform = {name: np.full(len(values), -np.log(len(values))) for name, values in shares.items()}
    told = ExpectedF1Settings().fit(known, Priors(uniform, shares), 0)
    assert isinstance(told, ExpectedF1)
    assert set(told.shifts) == {"size", "colour"}
    possible = fresh.space.possible
    score = macro_f1(fresh.classes, told.decode(fresh.outputs), possible)
    plain = macro_f1(fresh.classes, fresh.outputs.scores().argmax(axis=0), possible)
    untold = ExpectedF1Settings().fit(known, None, 0)
    assert score > plain
    assert score > macro_f1(fresh.classes, untold.decode(fresh.outputs), possible)


def test_equal_priors_leave_no_shift(make_known: Callable[..., LabelledOutputs]) -> None:
    known = make_known()
    prior = {"size": np.log([0.5, 0.3, 0.2]), "colour": np.log([0.5, 0.5])}
    fitted = ExpectedF1Settings().fit(known, Priors(prior, prior), 0)
    assert isinstance(fitted, ExpectedF1)
    assert fitted.shifts == {}
    assert fitted == ExpectedF1Settings().fit(known, None, 0)
