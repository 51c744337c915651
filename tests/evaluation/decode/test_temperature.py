from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.evaluation.decode import LabelledOutputs, Priors
from multitask.evaluation.decode.temperature import LEAST, MOST, fit_temperature, fit_temperatures
from multitask.labels import JOINT


def log_softmax(values: np.ndarray) -> np.ndarray:
    values = values - values.max(axis=1, keepdims=True)
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def drawn_from(log_probs: np.ndarray, seed: int) -> np.ndarray:
    """Labels that are as frequent as the probabilities say."""
    levels = np.exp(log_probs).cumsum(axis=1)
    return (np.random.default_rng(seed).random((len(levels), 1)) > levels[:, :-1]).sum(axis=1)


def loss(log_probs: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    scaled = log_softmax(log_probs / temperature)
    return float(-scaled[np.arange(len(labels)), labels].mean())


@pytest.mark.parametrize("planted", [0.3, 1.0, 2.5])
def test_a_planted_temperature_is_found(planted: float) -> None:
    true = log_softmax(2 * np.random.default_rng(0).normal(size=(20_000, 4)))
    labels = drawn_from(true, 1)
    assert fit_temperature(log_softmax(planted * true), labels) == pytest.approx(planted, rel=0.05)


@given(seed=st.integers(0, 999), scale=st.sampled_from([0.1, 1.0, 10.0]), rows=st.integers(1, 40))
@settings(deadline=None, max_examples=60)
def test_it_is_that_of_the_least_loss(seed: int, scale: float, rows: int) -> None:
    rng = np.random.default_rng(seed)
    log_probs = log_softmax(scale * rng.normal(size=(rows, 3)))
    labels = rng.integers(0, 3, rows)
    found = fit_temperature(log_probs, labels)
    assert LEAST <= found <= MOST
    best = min(loss(log_probs, labels, tried) for tried in np.geomspace(LEAST, MOST, 400))
    assert loss(log_probs, labels, found) <= best + 1e-6
    assert (log_probs / found).argmax(axis=1).tolist() == log_probs.argmax(axis=1).tolist()


def test_labels_that_are_missing_do_not_count() -> None:
    log_probs = log_softmax(np.random.default_rng(0).normal(size=(50, 3)))
    labels = drawn_from(log_probs, 1)
    some = np.where(np.arange(50) < 30, labels, -1)
    assert fit_temperature(log_probs, some) == fit_temperature(log_probs[:30], labels[:30])
    assert fit_temperature(log_probs, np.full(50, -1)) == 1.0


def test_a_prior_that_is_not_the_labels_is_told_from_over_confidence() -> None:
    """The outputs hold a uniform prior: without knowing it, the temperature would pay for the difference."""
    rng = np.random.default_rng(0)
    natural = np.log([0.05, 0.9, 0.05])
    labels = rng.choice(3, 20_000, p=np.exp(natural))
    # The posterior under a uniform prior of where normals around 0, 1 and 4 were drawn.
    centres = np.array([0.0, 1.0, 4.0])
    values = rng.normal(size=20_000) + centres[labels]
    balanced = log_softmax(-0.5 * (values[:, None] - centres) ** 2)
    assert fit_temperature(balanced, labels, natural - np.log(1 / 3)) == pytest.approx(1, rel=0.05)
    assert abs(fit_temperature(balanced, labels) - 1) > 0.1


def test_every_head_has_its_own_and_the_joint_one_where_there_is_a_joint_term(
    make_known: Callable[..., LabelledOutputs],
) -> None:
    assert [*fit_temperatures(make_known(), None)] == ["size", "colour"]
    known = make_known(joint=True)
    found = fit_temperatures(known, None)
    assert [*found] == ["size", "colour", JOINT]
    assert known.outputs.joint is not None
    assert found[JOINT] == fit_temperature(known.outputs.joint, known.classes)
    assert found["colour"] == fit_temperature(known.outputs.heads["colour"], known.labels[:, 1])
    shifted = {name: np.arange(len(values[0])) * 0.5 for name, values in known.outputs.tables().items()}
    zero = {name: 0 * values for name, values in shifted.items()}
    assert fit_temperatures(known, Priors(zero, shifted)) != found
    assert fit_temperatures(known, Priors(shifted, shifted)) == found
