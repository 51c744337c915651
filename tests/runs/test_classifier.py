"""A network's answers to samples, decided by a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from multitask.config import Config
from multitask.labels import JOINT
from multitask.progress import Progress
from multitask.runs.classifier import Classifier
from multitask.runs.data_module import DataModule
from multitask.runs.validation import Validation

CPU = torch.device("cpu")


def answers(images: Tensor) -> Mapping[str, Tensor]:
    """Heads that say the first label of each task, and a joint term that says the last class."""
    heads = {name: torch.zeros(len(images), size) for name, size in (("mask", 3), ("gender", 2), ("age", 3))}
    for values in heads.values():
        values[:, 0] = 2.0
    joint = torch.zeros(len(images), 18)
    joint[:, -1] = 5.0
    return {name: values.log_softmax(1) for name, values in {**heads, JOINT: joint}.items()}


@pytest.fixture
def data(tiny: Callable[..., Config]) -> DataModule:
    return DataModule(tiny())


@pytest.mark.parametrize(("changes", "expected"), [({"joint": {}}, 17), ({"joint.term": "none"}, 0)])
def test_a_joint_term_decides_where_there_is_one(
    tiny: Callable[..., Config], data: DataModule, changes: dict[str, object], expected: int
) -> None:
    settings = tiny({**changes, "decode": "joint"}).evaluation()
    classifier = Classifier(answers, data.preprocessing, CPU, settings)
    predictions = classifier.predict(data.samples, data.batches("all", Progress(), CPU))
    assert (predictions.predicted == expected).all()
    classes = classifier.classes(data.batches("all", Progress(), CPU))
    np.testing.assert_array_equal(classes, predictions.predicted)
    assert (predictions.joint is None) == (expected == 0)
    np.testing.assert_array_equal(predictions.images, data.samples.images)
    np.testing.assert_array_equal(predictions.labels, data.samples.labels)


def test_validation_keeps_what_the_network_that_was_scored_last_said(
    tiny: Callable[..., Config], data: DataModule
) -> None:
    def other(images: Tensor) -> Mapping[str, Tensor]:
        return {name: values.flip(1) for name, values in answers(images).items()}

    classifier = Classifier(answers, data.preprocessing, CPU, tiny().evaluation())
    samples = data.samples.take(data.split.val)
    validation = Validation(classifier, samples, data.batches("val", Progress(), CPU))
    scores = validation(answers)
    assert validation.best is None
    validation.keep()
    assert validation(other) != scores
    assert validation.best is not None
    assert (validation.best.predicted == 0).all()
