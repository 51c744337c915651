"""The contract of class weightings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from multitask.losses import ClassWeightSettings
from multitask.testing.expect import expect

COUNTS = (50.0, 10.0, 0.0, 3.0)
"""Of training images; the third class was never seen."""


def fits_a_task_of_so_many_classes(settings: ClassWeightSettings) -> None:
    """Else it says why in lines, which name its key."""
    lines = list(settings.problems([f"class {place}" for place in range(len(COUNTS))]))
    expect(not lines, settings, f"fit a task of {len(COUNTS)} classes, of which it says: {'; '.join(lines)}")


def gives_each_class_a_finite_weight(settings: ClassWeightSettings, counts: Sequence[float] = COUNTS) -> None:
    """(C_t,) above or equal to 0, and other than 0 of a class that was never seen."""
    given = np.array(counts)
    before = given.copy()
    raw = settings.raw(given)
    expect((given == before).all(), settings, "leave the counts as they are")
    _expect_weights(settings, torch.tensor(raw), len(given), "raw weights")
    weights = settings.scaled(given)
    _expect_weights(settings, weights, len(given), "weights")
    expect(weights.dtype == torch.float32, settings, f"give float32, not {weights.dtype}")
    unseen = weights[torch.tensor(given == 0)]
    expect((unseen > 0).all(), settings, "give a class that was never seen a weight above 0")


def _expect_weights(settings: ClassWeightSettings, found: Tensor, num_classes: int, what: str) -> None:
    shape = tuple(found.shape)
    expect(shape == (num_classes,), settings, f"give {what} of shape ({num_classes},), not {shape}")
    expect(torch.isfinite(found).all(), settings, f"give finite {what}")
    expect((found >= 0).all(), settings, f"give no {what} below 0")


def mean_weight_over_the_training_images_is_1(settings: ClassWeightSettings, counts: Sequence[float] = COUNTS) -> None:
    """So that the length of a step stays what it is."""
    given = np.array(counts)
    mean = float((settings.scaled(given).double().numpy() * given).sum() / given.sum())
    expect(abs(mean - 1) < 1e-5, settings, f"give weights whose mean over the training images is 1, not {mean:g}")


def nothing_seen_at_all_gives_weights_of_mean_1(settings: ClassWeightSettings) -> None:
    """As of a fold without a label of the task."""
    weights = settings.scaled(np.zeros(len(COUNTS)))
    expect(torch.isfinite(weights).all(), settings, "give finite weights where no class was seen")
    mean = float(weights.mean())
    expect(abs(mean - 1) < 1e-6, settings, f"give weights of mean 1 where no class was seen, not {mean:g}")


def gives_the_same_weights_each_time(settings: ClassWeightSettings) -> None:
    """A run that is resumed has those that it had."""
    one, other = settings.scaled(np.array(COUNTS)), settings.scaled(np.array(COUNTS))
    expect(torch.equal(one, other), settings, "give the same weights of the same counts")


CLASS_WEIGHT_CHECKS = (
    fits_a_task_of_so_many_classes,
    gives_each_class_a_finite_weight,
    mean_weight_over_the_training_images_is_1,
    nothing_seen_at_all_gives_weights_of_mean_1,
    gives_the_same_weights_each_time,
)
"""What is checked of a class weighting, each alone."""


def check_class_weights(settings: ClassWeightSettings) -> None:
    """The contract of class weightings, whole, over one of them, for a task of four classes.

    >>> from multitask.losses import CLASS_WEIGHTS
    >>> check_class_weights(CLASS_WEIGHTS["inverse_frequency"]())

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in CLASS_WEIGHT_CHECKS:
        check(settings)
