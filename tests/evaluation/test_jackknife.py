from __future__ import annotations

import math

import numpy as np
import pytest

from multitask.evaluation.jackknife import jackknife_error, standard_error
from multitask.evaluation.summary import epoch_scores
from multitask.utils.records import value_at
from tests.evaluation.test_predictions import make


def test_of_a_mean_it_is_the_usual_standard_error() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    left_out = (values.sum() - values) / 3
    assert jackknife_error(left_out) == pytest.approx(values.std(ddof=1) / 2)


def test_one_group_has_none() -> None:
    assert math.isnan(jackknife_error(np.array([0.5])))


METRICS = ["joint.macro_f1", "joint.accuracy", "joint.loss", "tasks.age.macro_f1", "tasks.age.loss"]


@pytest.mark.parametrize("metric", METRICS)
def test_each_group_is_left_out_of_the_very_score(metric: str) -> None:
    predictions = make(rows=40)
    groups = predictions.group_indices()
    left_out = [
        value_at(epoch_scores(predictions.take(np.flatnonzero(groups != group))), metric) for group in np.unique(groups)
    ]
    assert standard_error(predictions, metric) == pytest.approx(jackknife_error(np.array(left_out)))
