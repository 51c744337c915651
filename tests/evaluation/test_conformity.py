from __future__ import annotations

import numpy as np
import pytest

from multitask.evaluation import conformity
from multitask.evaluation.conformal import Thresholds, prediction_sets, threshold
from multitask.evaluation.conformity import APS, APS_RANDOMISED, LAC, Conformity, mass_below, mass_below_label
from multitask.evaluation.metrics import FloatArray
from tests.evaluation.test_conformal import single_images


def sets_of(
    score: Conformity, coverage: float, draws: FloatArray | None = None, new_draws: FloatArray | None = None
) -> np.ndarray:
    """(50, 4), calibrated by 200 images, each its own group; no empty set is filled."""
    rng = np.random.default_rng(7)
    probs, labels = single_images(200, rng)
    test, _ = single_images(50, rng)
    right = score.of_images(probs, draws)[np.arange(200), labels]
    return score.of_images(test, new_draws) >= threshold(right, np.arange(200), coverage)


@pytest.mark.parametrize(
    ("coverage", "sizes", "randomised"),
    [
        (0.8, (27, 24, 19, 24), (28, 23, 20, 22)),
        (0.9, (36, 36, 29, 31), (37, 38, 32, 31)),
        (0.95, (40, 41, 36, 34), (39, 41, 36, 38)),
    ],
)
def test_sets_are_those_of_mapie(coverage: float, sizes: tuple[int, ...], randomised: tuple[int, ...]) -> None:
    """How often each of four labels is in the sets of 50 images.

    The right values are of MAPIE 1.6.0, which agrees image by image. It draws always: ``SplitConformalClassifier(given,
    confidence_level=coverage, conformity_score=APSConformityScore(), prefit=True, random_state=draws)``, with ``given``
    as in ``test_conformal``, and of ``.predict_set`` the parameter ``include_last_label``: "randomized" with draws of
    ``RandomState(5)``, and True with draws that are 1, which leaves no randomness.
    """
    assert sets_of(APS, coverage).sum(axis=0).tolist() == list(sizes)
    draws = np.random.RandomState(5).uniform(size=200)
    assert sets_of(APS_RANDOMISED, coverage, draws, draws[:50]).sum(axis=0).tolist() == list(randomised)


def test_the_mass_below_a_label_is_that_of_the_less_probable_also_among_equals(monkeypatch: pytest.MonkeyPatch) -> None:
    probs = np.random.default_rng(0).integers(0, 4, (200, 6)).astype(float)
    expected = np.where(probs[:, None, :] < probs[:, :, None], probs[:, None, :], 0).sum(axis=2)
    np.testing.assert_array_equal(mass_below(probs), expected)
    monkeypatch.setattr(conformity, "_CHUNK", 50)
    np.testing.assert_array_equal(mass_below(probs), expected)
    labels = np.arange(200) % 6
    np.testing.assert_array_equal(mass_below_label(probs, labels), expected[np.arange(200), labels])


def test_sets_are_of_the_most_probable_labels_which_is_always_in() -> None:
    probs = np.random.default_rng(0).dirichlet(np.full(5, 0.4), 300)
    sets = APS.of_images(probs) >= 0.7
    for row, inside in zip(probs, sets, strict=True):
        order = np.argsort(-row)
        num = np.searchsorted(np.cumsum(row[order]), 0.3, side="right") + 1  # until there is .3, the last one included
        assert set(np.flatnonzero(inside)) == {*order[:num].tolist()}


def hard_and_easy(rng: np.random.Generator) -> tuple[FloatArray, np.ndarray, np.ndarray]:
    """1,000 images, a fifth of which the network knows to be hard: probabilities, labels, which are hard."""
    hard = np.arange(1000) % 5 == 0
    probs = np.where(hard[:, None], rng.dirichlet(np.full(8, 3.0), 1000), rng.dirichlet(np.full(8, 0.05), 1000))
    labels = (rng.random(1000)[:, None] > probs.cumsum(axis=1)).sum(axis=1).clip(0, 7)
    return probs, labels, hard


def test_adaptive_sets_cover_hard_images_better_and_all_as_promised() -> None:
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(8):
        rng = np.random.default_rng(seed)
        probs, labels, _ = hard_and_easy(rng)
        test, right, hard = hard_and_easy(rng)
        draws, new_draws = rng.random(1000), rng.random(1000)
        for score in (LAC, APS, APS_RANDOMISED):
            own = score.of_images(probs, draws)[np.arange(1000), labels]
            value = threshold(own, np.arange(1000), 0.9)
            assert value is not None
            sets = prediction_sets(score.of_images(test, new_draws), Thresholds(np.full(8, value), np.zeros(8, bool)))
            covered = sets[np.arange(1000), right]
            found.setdefault(score.name, []).append((covered.mean(), covered[hard].mean()))
    means = {name: np.mean(rows, axis=0) for name, rows in found.items()}
    assert all(coverage > 0.89 for coverage, _ in means.values())
    assert means["lac"][1] < 0.7 < 0.75 < min(means["aps"][1], means["aps-randomised"][1])
