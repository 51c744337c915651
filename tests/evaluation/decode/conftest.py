from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from multitask.evaluation.decode import LabelledOutputs, ModelOutputs
from multitask.labels import LabelSpace, Task

SPACE = LabelSpace([Task("size", ("s", "m", "l")), Task("colour", ("red", "blue"))])
SPACES = {
    "product": SPACE,
    "flat": SPACE.flattened(),
    "one task": LabelSpace([Task("size", ("s", "m", "l", "xl"))]),
    "impossible cells": LabelSpace(SPACE.tasks, [{"size": "s", "colour": "red"}, {"size": "l", "colour": "blue"}]),
}


@pytest.fixture(scope="session")
def make_known() -> Callable[..., LabelledOutputs]:
    """Makes pictures of people in a label space, with answers that hold something of the labels.

    ``signal``: how much; ``missing``: the share of labels that is not known; ``joint``: whether with a joint term.
    """

    def make(
        space: LabelSpace = SPACE,
        rows: int = 120,
        seed: int = 0,
        *,
        signal: float = 1.5,
        missing: float = 0.0,
        joint: bool = False,
    ) -> LabelledOutputs:
        rng = np.random.default_rng(seed)
        possible = np.flatnonzero(space.possible)
        shares = 0.6 ** np.arange(len(possible))
        # Nobody is missing: each class has a picture, as far as there are enough.
        classes = np.concatenate([possible, rng.choice(possible, rows, p=shares / shares.sum())])[:rows]
        labels = space.decode(classes)
        log_probs = {
            task.name: torch.from_numpy(
                rng.normal(size=(rows, task.num_classes)) + signal * np.eye(task.num_classes)[labels[:, place]]
            ).log_softmax(1)
            for place, task in enumerate(space.tasks)
        }
        table = None
        if joint:
            table = space.joint_log_probs(log_probs) + torch.from_numpy(rng.normal(size=(rows, space.num_classes)))
            table = table.log_softmax(1)
        labels[rng.random(labels.shape) < missing] = -1
        groups = np.array([f"p{place // 4}" for place in rng.permutation(rows)], dtype=object)
        return LabelledOutputs(ModelOutputs.of(log_probs, space, table), labels, groups)

    return make


@pytest.fixture(scope="session", params=SPACES)
def space(request: pytest.FixtureRequest) -> LabelSpace:
    """A label space: a product, one head over all classes, a single task, cells that cannot occur."""
    return SPACES[request.param]
