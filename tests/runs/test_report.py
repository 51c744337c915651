"""The priors that a trained network's outputs hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from multitask.config import Config
from multitask.runs.data_module import DataModule
from multitask.runs.report import decode_priors

MakeConfig = Callable[..., Config]


def test_class_weights_are_in_the_prior_that_the_outputs_hold(tiny: MakeConfig) -> None:
    config = tiny({"heads.mask.loss.class_weights": {"name": "inverse_frequency"}})
    data = DataModule(config)
    priors = decode_priors(config.objective(), data.dataset.training_samples())
    share = 7  # images of a person: five with a mask, one worn wrongly, one without
    natural = np.exp(priors.natural["mask"])
    assert natural == pytest.approx(np.array([5, 1, 1]) / share, abs=0.05)
    assert np.exp(priors.implied["mask"]) == pytest.approx(np.full(3, 1 / 3), abs=0.05)
    assert priors.implied["gender"] == pytest.approx(priors.natural["gender"])
    assert [*priors.shifts(("mask", "gender", "age"))] == ["mask"]
