"""A trial of a config: its data are read and split as training would."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from multitask.config import Config
from multitask.data.dataset import Dataset
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.labels import MISSING

DEALT = 2_000
"""Groups that are split at first: to deal a million at random takes as long as to read their table twice."""


def watched_score(config: Config) -> str:
    """The score that a run of the config can watch: its monitor, or one task's, of which those who validate know more.

    Every row is read. Where the first groups alone can be split at random, so can all of them.

    Raises:
        UserError: the data cannot be read, or split, or nobody who validates has any label.
    """
    samples = config.data.source.samples(Path(config.data.root), config.space())
    if samples.sides is None:
        first = samples.groups.numbers() < DEALT
        if not first.all():
            with suppress(UserError):
                if _watched(config, samples.take(np.flatnonzero(first))) == config.training.monitor:
                    return config.training.monitor
    return _watched(config, samples)


def _watched(config: Config, samples: Samples) -> str:
    dataset = Dataset.of(config.data, samples, config.seed)
    try:
        dataset.check_scored(config.training.monitor, "training.monitor", dataset.split.picks)
    except UserError:
        known = (samples.labels[dataset.indices(dataset.split.picks)] != MISSING).sum(axis=0)
        if not known.any():
            raise
        return f"tasks.{samples.space.task_names[int(known.argmax())]}.macro_f1"
    return config.training.monitor
