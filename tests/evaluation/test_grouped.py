"""Answers to groups: cross-fitted, picked, kept; and their scores beside those image by image."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multitask.errors import UserError
from multitask.evaluation.decode import DECODE_RULES, DecodeSettings
from multitask.evaluation.decode.fitted_rules import FittedRules
from multitask.evaluation.decode_comparison import decide_and_fit
from multitask.evaluation.grouped import GroupedAnswers, calibrate_groups, decide_grouped, decide_grouped_and_fit
from multitask.evaluation.grouped_scores import grouped_scores
from multitask.evaluation.predictions import Predictions
from multitask.labels import MISSING, LabelSpace, Task

SPACE = LabelSpace([Task("mask", ("on", "off")), Task("gender", ("male", "female"), per_group=True)])


def make(
    groups: int = 60, size: int = 5, seed: int = 0, *, flat: bool = False, term: bool = False, alike: bool = True
) -> Predictions:
    """Answers that hold something of the labels; ``alike``: whether the images of a group have one gender."""
    rng = np.random.default_rng(seed)
    num = groups * size
    of_group = np.repeat(np.arange(groups), size)
    gender = rng.integers(0, 2, groups)[of_group] if alike else rng.integers(0, 2, num)
    labels = np.stack([rng.integers(0, 2, num), gender], axis=1)
    heads = {
        task.name: torch.from_numpy(rng.normal(size=(num, 2)) + 1.2 * np.eye(2)[column]).log_softmax(1)
        for task, column in zip(SPACE.tasks, labels.T, strict=True)
    }
    joint = SPACE.joint_log_probs(heads)
    names = np.array([f"{row}.jpg" for row in range(num)], dtype=object)
    people = np.array([f"p{group}" for group in of_group], dtype=object)
    learned = SPACE.flattened() if flat else SPACE
    outputs = {"class": joint} if flat else heads
    predicted = joint.argmax(1).numpy()
    return Predictions(SPACE, learned, names, people, labels, outputs, predicted, joint if term else None)


def rule(name: str) -> DecodeSettings:
    found: Any = DECODE_RULES[name]()
    assert isinstance(found, DecodeSettings)
    return found


def fit(predictions: Predictions, name: str = "independent") -> GroupedAnswers:
    return decide_grouped_and_fit(predictions, ("gender",), rule(name), None, 0)


@pytest.mark.parametrize("kind", [{}, {"flat": True}, {"term": True}], ids=str)
@pytest.mark.parametrize("name", DECODE_RULES)
def test_what_images_of_a_group_have_in_common_is_answered_better_and_alike(name: str, kind: dict[str, bool]) -> None:
    predictions = make(**kind)
    answers = fit(predictions, name)
    assert answers.cross_fitted
    assert answers.kept.pooling.name in ("mean", "log_pool")
    assert answers.kept.used == name
    assert answers.kept.calibration is not None
    assert answers.kept.calibration.num_groups("joint") == 60
    genders = answers.predictions.task_log_probs()["gender"].exp().numpy().reshape(60, 5, 2)
    np.testing.assert_allclose(genders, np.broadcast_to(genders[:, :1], genders.shape), atol=1e-9)
    found = grouped_scores(answers, predictions, 0)
    assert found is not None
    for scores in (found.tasks["gender"], found.joint):
        assert scores.macro_f1_difference > 0.03
        assert scores.macro_f1_difference_ci[0] > 0
        assert scores.accuracy_difference_ci[0] <= scores.accuracy_difference <= scores.accuracy_difference_ci[1]
    if not kind:
        assert found.tasks["mask"].macro_f1_difference == 0
    assert (found.per_group, found.declared, found.num_groups) == (("gender",), ("gender",), 60)
    assert found.joint.scores.accuracy == np.mean(answers.predictions.predicted == predictions.classes)
    best = answers.predictions.task_log_probs()["gender"].argmax(dim=1).numpy()
    assert found.tasks["gender"].scores.accuracy == np.mean(best == predictions.labels[:, 1])


def test_where_pooling_does_harm_it_is_not_picked() -> None:
    answers = fit(make(alike=False))
    assert answers.kept.pooling.name == "none"
    assert "none has the best cross-fitted macro-F1" in answers.kept.sentence


def test_of_one_pooling_alone_none_is_called_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multitask.evaluation.grouped.MOST_CLASSES", 3)
    sentence = fit(make()).kept.sentence
    assert sentence == "mean, which has no parameter; with so many classes it is compared with no other"


def test_the_score_of_a_group_is_by_what_was_fitted_on_others() -> None:
    """Labels that the outputs hold nothing of: whatever is fitted on a group itself is better than chance."""
    predictions = make(groups=40, size=3)
    rng = np.random.default_rng(1)
    lost = replace(
        predictions, labels=np.stack([rng.integers(0, 2, 120), np.repeat(rng.integers(0, 2, 40), 3)], axis=1)
    )
    answers = fit(lost, "class_bias")
    in_sample = decide_grouped(lost, answers.kept).predictions.predicted
    assert np.mean(in_sample == lost.classes) > np.mean(answers.predictions.predicted == lost.classes) + 0.02


def test_what_is_kept_answers_others_as_it_was_fitted(tmp_path: Path) -> None:
    predictions = make()
    answers = fit(predictions, "head_bias")
    kept = decide_and_fit(predictions, rule("head_bias"), None, 0, 0).kept
    path = tmp_path / "decode.json"
    path.write_text(kept.model_copy(update={"grouped": answers.kept}).to_json())
    read = FittedRules.read(path, SPACE)
    assert read.grouped == answers.kept
    assert read.model_copy(update={"grouped": None}) == kept
    fresh = make(seed=1)
    found, again = (decide_grouped(fresh, one).predictions for one in (read.grouped, answers.kept))
    np.testing.assert_array_equal(found.predicted, again.predicted)
    assert not decide_grouped(fresh, read.grouped).cross_fitted


def test_a_file_without_groups_is_as_it_was() -> None:
    kept = decide_and_fit(make(), rule("independent"), None, 0, 0).kept
    assert "grouped" not in json.loads(kept.to_json())


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("tasks", ["hat"], "there is no task 'hat'"),
        ("tasks", [], "grouped.tasks"),
        ("pooling", {"name": "median"}, "grouped.pooling"),
        (
            "pooling",
            {"name": "log_pool", "temperatures": {"mask": 1}, "correlations": {}, "log_priors": {}},
            "pooling.temperatures: must be",
        ),
        ("used", "joint", "used: there is no rule 'joint'"),
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, key: str, value: object, match: str) -> None:
    predictions = make()
    kept = decide_and_fit(predictions, rule("independent"), None, 0, 0).kept
    data = json.loads(kept.model_copy(update={"grouped": fit(predictions).kept}).to_json())
    data["grouped"][key] = value
    path = tmp_path / "decode.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=f"^{path}: is damaged: .*{match}"):
        FittedRules.read(path, SPACE)


@pytest.mark.parametrize("groups", [0, 1])
def test_too_few_groups_are_pooled_by_the_mean(groups: int) -> None:
    predictions = make(groups=3)
    labels = predictions.labels.copy()
    labels[groups * 5 :] = MISSING
    answers = fit(replace(predictions, labels=labels), "head_bias")
    assert (answers.kept.pooling.name, answers.kept.used, answers.cross_fitted) == ("mean", "joint", False)
    assert answers.kept.sentence == "too few groups are known to compare poolings"
    found = grouped_scores(answers, replace(predictions, labels=labels), 0)
    assert found is not None
    assert (found.joint.macro_f1_difference is None) == (groups == 0)


@pytest.mark.parametrize("term", [False, True])
def test_where_no_image_has_all_labels_heads_are_calibrated_on_other_groups(term: bool) -> None:
    predictions = make(term=term)
    labels = predictions.labels.copy()
    labels[:150, 0] = labels[150:, 1] = MISSING
    answers = fit(replace(predictions, labels=labels), "head_bias")
    assert (answers.kept.pooling.name, answers.kept.used, answers.cross_fitted) == ("mean", "joint", True)
    assert answers.kept.sentence == "too few groups are known to compare poolings"
    calibration = answers.kept.calibration
    assert calibration is not None
    assert [calibration.num_groups(name) for name in ("mask", "gender", "joint")] == [30, 30, 0]
    answered = replace(predictions, labels=labels)
    again = calibrate_groups(answered, answered, answers.kept, rule("head_bias"), None, 0)
    assert again == calibration


def test_groups_of_one_have_no_scores() -> None:
    predictions = make(size=1)
    assert grouped_scores(fit(predictions), predictions, 0) is None
