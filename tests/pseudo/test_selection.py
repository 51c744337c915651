"""Which labels are taken: the sure ones, no more of each than the prior says, none that cannot occur together."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.labels import MISSING, LabelSpace, Task
from multitask.pseudo.selection import balanced, sure_labels, without_impossible


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_at_most_the_priors_share_of_each_label_and_the_surest(seed: int, num: int) -> None:
    rng = np.random.default_rng(seed)
    probs, prior = rng.dirichlet(np.ones(3), size=num), rng.dirichlet(np.ones(3))
    labels = sure_labels(probs, rng.uniform(0.2, 0.7, size=(num, 3)))
    found = balanced(labels, probs, prior)
    assert ((found == labels) | (found == MISSING)).all()
    for label in range(3):
        before, after = labels == label, found == label
        assert after.sum() == min(before.sum(), max(1, np.ceil(prior[label] * num - 1e-9)))
        if (before & ~after).any():
            assert probs[after, label].min() >= probs[before & ~after, label].max()


def test_a_label_without_a_threshold_is_never_given() -> None:
    probs = np.array([[0.99, 0.01], [0.01, 0.99]])
    assert sure_labels(probs, np.array([[np.nan, 0.5]])).tolist() == [MISSING, 1]


def test_the_least_sure_of_labels_that_cannot_occur_together_is_left_out() -> None:
    tasks = [Task("mask", ("on", "off")), Task("colour", ("none", "blue"))]
    space = LabelSpace(tasks, [{"mask": "off", "colour": "blue"}])
    labels = np.array([[1, 1], [1, 1], [0, 1], [1, MISSING]])
    probs = {
        "mask": np.array([[0.1, 0.9], [0.3, 0.7], [0.9, 0.1], [0.1, 0.9]]),
        "colour": np.array([[0.3, 0.7], [0.1, 0.9], [0.1, 0.9], [0.5, 0.5]]),
    }
    found = without_impossible(labels, probs, space)
    assert found.tolist() == [[1, MISSING], [MISSING, 1], [0, 1], [1, MISSING]]
    assert without_impossible(labels, probs, LabelSpace(tasks)) is labels
