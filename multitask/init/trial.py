"""A trial of a config: its data are read and split as training would."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from multitask.config import Config
from multitask.data.dataset import Dataset
from multitask.data.samples import Samples
from multitask.errors import UserError

DEALT = 2_000
"""Groups that are split at first: to deal a million at random takes as long as to read their table twice."""


def check_data(config: Config) -> None:
    """Refuses data that cannot be read, or split, or of which nobody who validates has the label that is watched.

    Every row is read. Where the first groups alone can be split at random, so can all of them.

    Raises:
        UserError: they are such data.
    """
    samples = config.data.source.samples(Path(config.data.root), config.space())
    if samples.sides is None:
        first = samples.groups.numbers() < DEALT
        if not first.all():
            with suppress(UserError):
                _check_split(config, samples.take(np.flatnonzero(first)))
                return
    _check_split(config, samples)


def _check_split(config: Config, samples: Samples) -> None:
    dataset = Dataset.of(config.data, samples, config.seed)
    dataset.check_scored(config.training.monitor, "training.monitor", dataset.split.picks)
