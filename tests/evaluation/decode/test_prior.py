from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.evaluation.decode import JointSettings, LabelledOutputs, ModelOutputs, Priors
from multitask.evaluation.decode.base import macro_f1
from multitask.evaluation.decode.prior import PriorCorrection, PriorCorrectionSettings, frequencies
from multitask.labels import JOINT, LabelSpace, Task


def uniform(space: LabelSpace) -> Priors:
    sizes = {**{task.name: task.num_classes for task in space.tasks}, JOINT: space.num_classes}
    same = {name: np.full(size, -np.log(size)) for name, size in sizes.items()}
    return Priors(same, same)


@given(strength=st.floats(0, 5), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_with_uniform_priors_any_strength_is_the_joint_arg_max(
    make_known: Callable[..., LabelledOutputs], strength: float, seed: int
) -> None:
    known = make_known(seed=seed)
    fitted = PriorCorrectionSettings(strength=strength).fit(known, uniform(known.space), 0)
    joint = JointSettings().fit(known, None, 0)
    assert fitted.decode(known.outputs).tolist() == joint.decode(known.outputs).tolist()


def test_the_strongest_correction_is_menons_equation() -> None:
    """Posteriors .6, .4 under priors .8, .2: likelihoods .75, 2, so that the second is the balanced answer."""
    space = LabelSpace([Task("size", ("s", "l"))])
    prior = (float(np.log(0.8)), float(np.log(0.2)))
    outputs = ModelOutputs(space, {"size": np.log([[0.6, 0.4], [0.9, 0.1]])})
    answers = {}
    for strength in (0.0, 0.2, 0.4, 1.0):
        rule = PriorCorrection(temperatures={"size": 1.0}, strength=strength, log_priors={"size": prior})
        answers[strength] = rule.decode(outputs).tolist()
    # The second class wins where strength x log 4 is more than log(.6 / .4) = .405, so from .29 on.
    assert answers == {0.0: [0, 0], 0.2: [0, 0], 0.4: [1, 0], 1.0: [1, 0]}


@pytest.mark.parametrize("joint", [False, True])
def test_the_tuned_strength_is_the_weakest_of_the_best(make_known: Callable[..., LabelledOutputs], joint: bool) -> None:
    known = make_known(rows=200, signal=1.0, joint=joint)
    fitted = PriorCorrectionSettings().fit(known, None, 0)
    assert isinstance(fitted, PriorCorrection)
    assert set(fitted.log_priors) == ({JOINT} if joint else {"size", "colour"})

    def score(strength: float) -> float:
        rule = PriorCorrectionSettings(strength=strength).fit(known, None, 0)
        return macro_f1(known.classes, rule.decode(known.outputs), known.space.possible)

    tried = {strength: score(strength) for strength in np.round(np.arange(0, 2.01, 0.1), 1).tolist()}
    assert fitted.strength == max(tried, key=lambda strength: (tried[strength], -strength))
    assert joint or tried[fitted.strength] > tried[0.0]


def test_frequencies_by_hand() -> None:
    space = LabelSpace([Task("size", ("s", "l")), Task("colour", ("red", "blue"))])
    labels = np.array([[0, 0], [0, 0], [0, 1], [1, -1]])
    found = {name: np.exp(values) for name, values in frequencies(labels, space).items()}
    assert found["size"] == pytest.approx([4 / 6, 2 / 6])
    assert found["colour"] == pytest.approx([3 / 5, 2 / 5])
    extra = 4 * np.array([4 / 6 * 3 / 5, 4 / 6 * 2 / 5, 2 / 6 * 3 / 5, 2 / 6 * 2 / 5])
    assert found[JOINT] == pytest.approx((np.array([2, 1, 0, 0]) + extra) / 7)


def test_a_prior_that_training_took_out_is_not_taken_out_again(make_known: Callable[..., LabelledOutputs]) -> None:
    """Outputs of a network that was trained with class weights hold a uniform prior, whatever that of the labels is."""
    known = make_known(rows=200, signal=1.0)
    natural = frequencies(known.labels, known.space)
    weighted = PriorCorrectionSettings().fit(known, Priors(uniform(known.space).implied, natural), 0)
    untold = PriorCorrectionSettings().fit(known, None, 0)
    assert isinstance(weighted, PriorCorrection)
    assert isinstance(untold, PriorCorrection)
    assert (weighted.strength, untold.strength > 0) == (0.0, True)
