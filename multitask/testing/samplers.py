"""The contract of samplers of batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multitask.data import SamplerSettings
from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.data.targets import Targets
from multitask.labels import LabelSpace, Task
from multitask.testing.expect import expect
from multitask.utils.strings import Strings

SPACE = LabelSpace([Task("a", ("x", "y")), Task("b", ("p", "q"))])


def make_samples(labels: list[list[int]], groups: list[str] | None = None, sources: list[str] | None = None) -> Samples:
    """Samples of ``SPACE`` without files: a row of labels each, by default in groups of their own and of one source."""
    num = len(labels)
    return Samples(
        SPACE,
        Path("/"),
        Strings.of(str(row) for row in range(num)),
        Strings.of(groups or [str(row) for row in range(num)]),
        np.array(labels, dtype=np.int64),
        np.full((num, 2), np.nan),
        np.ones(num, dtype=np.float32),
        Strings.of(sources or ["s"] * num),
    )


UNEVEN = make_samples(
    [[0, 0]] * 60 + [[1, 1]] * 30 + [[0, -1]] * 9 + [[1, -1]],
    ["big"] * 70 + [str(row) for row in range(30)],
    ["one"] * 90 + ["two"] * 10,
)
"""A hundred samples whose classes, groups and sources are of very different sizes."""


def served(
    sampler: SamplerSettings, epoch: int, samples: Samples = UNEVEN, indices: np.ndarray | None = None
) -> list[int]:
    """The samples that an epoch serves, in its order; of those at ``indices``, or of all."""
    chosen = np.arange(len(samples)) if indices is None else indices
    labels = np.arange(len(samples))[:, None]
    images = np.zeros((len(samples), 1, 1, 3), dtype=np.uint8)
    targets = Targets(labels, np.full(labels.shape, np.nan, dtype=np.float32))
    batches = Batches(samples, targets, images, chosen, 16, shuffle=True, sampler=sampler, seed=3)
    return [int(label) for batch in batches.epoch(epoch) for label in batch.labels[:, 0]]


def an_epoch_is_as_long_as_it_should_and_serves_no_others(settings: SamplerSettings) -> None:
    """As the training samples, here every second of all; or as the strata say, each served once at most."""
    chosen = np.arange(5, 100, 2)
    epoch = served(settings, 1, indices=chosen)
    strata = settings.strata(UNEVEN.take(chosen))
    num = len(chosen) if strata is None else strata.num_served
    expect(len(epoch) == num, settings, f"serve {num} samples of {len(chosen)}, not {len(epoch)}")
    if strata is not None:
        expect(len(set(epoch)) == num, settings, "serve no sample of a stratum twice")
    expect(set(epoch) <= set(chosen.tolist()), settings, "serve no sample that does not train")


def depends_on_seed_and_epoch_alone(settings: SamplerSettings) -> None:
    """Whoever resumes has served nothing before."""
    first, second = served(settings, 1), served(settings, 2)
    expect(first != second, settings, "serve another order in each epoch")
    expect(served(settings, 2) == second, settings, "serve an epoch alike whatever was served before")


def chances_sum_to_one(settings: SamplerSettings) -> None:
    """And leave no sample out."""
    chances = settings.chances(UNEVEN)
    if chances is not None:
        expect(chances.shape == (len(UNEVEN),), settings, f"give ({len(UNEVEN)},) chances, one for each sample")
        total = chances.sum()
        expect(np.isclose(total, 1.0, rtol=1e-6), settings, f"give chances that sum to 1, not {total:g}")
        expect((chances > 0).all(), settings, "give every sample a chance above 0")


SAMPLER_CHECKS = (
    an_epoch_is_as_long_as_it_should_and_serves_no_others,
    depends_on_seed_and_epoch_alone,
    chances_sum_to_one,
)
"""What is checked of a sampler, each alone."""


def check_sampler(settings: SamplerSettings) -> None:
    """The contract of samplers of batches, whole, over one of them.

    >>> from multitask.data import SAMPLERS
    >>> check_sampler(SAMPLERS["uniform"]())

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in SAMPLER_CHECKS:
        check(settings)
