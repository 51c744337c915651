"""Which labels are taken: the sure ones, no more of each than the prior says, none that cannot occur together."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.labels import MISSING, LabelSpace, Task
from multitask.pseudo.selection import SLACK, balanced, sure_labels, without_impossible


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_labels_are_in_the_priors_shares_but_for_the_slack_and_the_surest(seed: int, num: int) -> None:
    rng = np.random.default_rng(seed)
    probs, prior = rng.dirichlet(np.ones(3), size=num), rng.dirichlet(np.ones(3))
    labels = sure_labels(probs, rng.uniform(0.2, 0.7, size=(num, 3)))
    found = balanced(labels, probs, prior)
    assert ((found == labels) | (found == MISSING)).all()
    # In relation to each other, and not to all images: of these the most are those of which nothing is sure.
    scarcest = min(
        (float((labels == label).sum() / prior[label]) for label in range(3) if (labels == label).any()), default=0.0
    )
    for label in range(3):
        before, after = labels == label, found == label
        if before.any():
            most = max(1, np.ceil(SLACK * prior[label] * scarcest - 1e-9))
            assert after.sum() == min(before.sum(), most)
        if (before & ~after).any():
            assert probs[after, label].min() >= probs[before & ~after, label].max()


def test_few_sure_images_of_one_label_limit_the_others() -> None:
    labels = np.repeat([0, 1, MISSING], [80, 10, 910])
    probs = np.stack([np.linspace(1, 0, 1000), np.linspace(0, 1, 1000)], axis=1)
    found = balanced(labels, probs, np.array([0.5, 0.5]))
    assert [(found == label).sum() for label in (0, 1)] == [20, 10]
    assert (found[:20] == 0).all()
    alone = np.where(labels == 1, MISSING, labels)
    assert (balanced(alone, probs, np.array([0.5, 0.5])) == alone).all()  # a label that nobody has takes nothing away
    assert (balanced(alone, probs, np.array([0.0, 1.0])) == 0).sum() == 1


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
