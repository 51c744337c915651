from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from multitask.evaluation.predictions import Predictions
from multitask.evaluation.report_schema import ClassDistribution
from multitask.evaluation.scores import ClassScores
from multitask.evaluation.summary import distribution, epoch_scores, summarise
from multitask.labels import MISSING, LabelSpace, Task
from multitask.runs.comparison import paired_differences
from multitask.utils.records import record_to_json

SPACE = LabelSpace(
    [Task("colour", ("red", "green", "blue")), Task("shape", ("round", "square"))],
    [{"colour": "blue", "shape": "square"}],
)


def make(labels: Any, learned: LabelSpace = SPACE, sharp: float = 3.0, groups: Any = None) -> Predictions:
    """Answers that lean towards the given labels, where they are known, but not always enough."""
    labels = np.asarray(labels, dtype=np.int64).reshape(-1, 2)
    num = len(labels)
    generator = torch.Generator().manual_seed(1)
    truth = labels if learned == SPACE else SPACE.encode(labels)[:, None]
    log_probs = {}
    for column, task in enumerate(learned.tasks):
        logits = torch.randn(num, task.num_classes, generator=generator).double()
        for row in range(num):
            if truth[row, column] != MISSING:
                logits[row, truth[row, column]] += sharp
        log_probs[task.name] = logits.log_softmax(dim=1)
    names = np.array([f"i{row}" for row in range(num)], dtype=object)
    groups = np.array([f"g{row // 3}" for row in range(num)] if groups is None else groups, dtype=object)
    predicted = learned.joint_log_probs(log_probs).argmax(dim=1).numpy()
    return Predictions(SPACE, learned, names, groups, labels, log_probs, predicted)


LABELS = SPACE.decode(np.random.default_rng(0).choice(np.flatnonzero(SPACE.possible), size=30))


@pytest.mark.parametrize("learned", [SPACE, SPACE.flattened()], ids=["shared", "flat"])
def test_report_holds_what_is_promised(learned: LabelSpace) -> None:
    report = summarise(make(LABELS, learned), {"name": "independent"}, 0)
    assert report.num_images == 30
    assert report.num_groups == 10
    assert report.decode == {"name": "independent"}
    assert set(report.tasks) == {"colour", "shape"}
    for figures, size in ((report.joint, 5), (report.tasks["colour"], 3), (report.tasks["shape"], 2)):
        low, high = figures.macro_f1_ci
        assert 0 <= low <= figures.macro_f1 <= high <= 1
        low, high = figures.accuracy_ci
        assert 0 <= low <= figures.accuracy <= high <= 1
        assert 0 <= figures.ece <= 1
        assert len(figures.classes) == len(figures.confusion) == size
        assert {"name", "support", "precision", "recall", "f1"} == set(vars(figures.classes[0]))
        assert sum(map(sum, figures.confusion)) == 30
    total = report.joint.macro_f1 + sum(report.attribution.lost.values()) + report.attribution.absent
    assert total == pytest.approx(1.0)
    record_to_json(report)


@pytest.mark.parametrize("learned", [SPACE, SPACE.flattened()], ids=["shared", "flat"])
def test_epoch_scores_are_those_of_the_report(learned: LabelSpace) -> None:
    predictions = make(LABELS, learned)
    scores, report = epoch_scores(predictions), summarise(predictions, {}, 0)
    for one, other in (
        (scores.joint, report.joint),
        *((scores.tasks[t], report.tasks[t]) for t in SPACE.task_names),
    ):
        assert one.macro_f1 == other.macro_f1
        assert one.accuracy == other.accuracy
    assert scores.loss == scores.joint.loss


def test_losses_are_the_mean_negative_log_likelihoods() -> None:
    predictions = make(LABELS)
    scores = epoch_scores(predictions)
    joint = predictions.joint_log_probs()
    assert scores.loss == pytest.approx(float(-joint[range(30), predictions.classes].mean()))
    # The tasks' are of the marginals of what can occur, not of the bare heads.
    marginal = SPACE.marginal_log_probs(joint)["shape"]
    assert scores.tasks["shape"].loss == pytest.approx(float(-marginal[range(30), LABELS[:, 1]].mean()))


def test_missing_labels_count_in_no_figure_but_their_own() -> None:
    labels = LABELS.copy()
    labels[:10, 0] = MISSING
    report = summarise(make(labels), {}, 0)
    assert report.num_images == 30
    assert report.joint.num_images == report.tasks["colour"].num_images == 20
    assert report.tasks["shape"].num_images == 30
    assert report.joint.num_groups == 7
    scores = epoch_scores(make(labels))
    assert scores.joint.accuracy == report.joint.accuracy


def test_nobody_labelled_gives_no_figures_and_no_error() -> None:
    predictions = make(np.full((4, 2), MISSING))
    report, scores = summarise(predictions, {}, 0), epoch_scores(predictions)
    assert report.joint.macro_f1_ci is None
    assert report.joint.num_images == 0
    assert math.isnan(scores.loss)
    record_to_json({"report": report, "scores": scores})


def test_absent_classes_are_named_and_impossible_ones_are_not() -> None:
    report = summarise(make([[0, 0], [0, 1], [1, 0]] * 4), {}, 0)
    assert report.joint.absent_classes == ("green/square", "blue/round")
    assert report.tasks["colour"].absent_classes == ("blue",)


def test_label_that_can_never_occur_does_not_lower_its_tasks_score() -> None:
    space = LabelSpace(SPACE.tasks, [{"colour": "blue"}])
    log_probs = {"colour": torch.eye(3)[[0, 1]].double().log_softmax(1), "shape": torch.eye(2).double().log_softmax(1)}
    names = np.array(["a", "b"], dtype=object)
    predictions = Predictions(space, space, names, names, np.array([[0, 0], [1, 1]]), log_probs, np.array([0, 3]))
    report = summarise(predictions, {}, 0)
    assert report.tasks["colour"].macro_f1 == 1.0
    assert report.tasks["colour"].absent_classes == ()
    assert report.joint.macro_f1 == 0.5
    worse = replace(predictions, log_probs={**log_probs, "colour": log_probs["colour"].flip(0)})
    differences = {row.metric: row.value for row in paired_differences(["one", "two"], [predictions, worse])}
    assert differences["tasks.colour.macro_f1"] == -1.0


def test_what_cannot_occur_stands_in_no_table_and_what_does_not_occur_lowers_the_ceiling() -> None:
    space = LabelSpace(SPACE.tasks, [{"colour": "blue"}])
    labels = np.array([[0, 0], [1, 1], [1, 0]])
    report = summarise(replace(make(labels), space=space), {}, 0)
    assert [row.name for row in report.joint.classes] == list(space.class_names[:4])
    assert [row.name for row in report.tasks["colour"].classes] == ["red", "green"]
    assert np.array(report.joint.confusion).shape == (4, 4)
    assert np.array(report.tasks["colour"].confusion).shape == (2, 2)
    assert report.joint.absent_classes == ("red/square",)
    assert report.joint.ceiling == 0.75
    assert report.tasks["colour"].ceiling == report.tasks["shape"].ceiling == 1
    found = distribution(labels, np.array(["a", "b", "c"], dtype=object), space)
    assert (found.joint, found.tasks["colour"]) == ((1, 0, 1, 1), (1, 2))


def test_distribution_counts_known_labels() -> None:
    labels = np.array([[0, 0], [0, 1], [2, MISSING], [0, 0]])
    found = distribution(labels, np.array(["a", "a", "b", "c"], dtype=object), SPACE)
    assert found == ClassDistribution(
        num_images=4, num_groups=3, joint=(2, 1, 0, 0, 0), tasks={"colour": (3, 0, 1), "shape": (2, 1)}
    )


def test_unseen_classes_are_scored_among_all_images() -> None:
    # red/square (1) was held out. Of its two images one is right; a third image is taken for it.
    given, predicted = np.array([1, 1, 0, 0, 2, 3]), np.array([1, 0, 1, 0, 2, 3])
    predictions = replace(make(SPACE.decode(given), groups=list("aabbcd")), predicted=predicted)
    unseen = np.arange(6) == 1
    found = summarise(predictions, {}, 0, unseen).unseen
    assert (found.num_images, found.num_groups) == (2, 1)
    assert found.classes == (ClassScores("red/square", support=2, precision=0.5, recall=0.5, f1=0.5),)
    assert found.macro_f1 == 0.5
    # red/round .5, green/round 1, green/square 1, blue/round 0, which nobody has; blue/square cannot occur.
    assert found.seen_macro_f1 == pytest.approx(2.5 / 4)
    for (low, high), value in ((found.macro_f1_ci, 0.5), (found.seen_macro_f1_ci, 2.5 / 4)):
        assert 0 <= low <= value <= high <= 1
    record_to_json(found)


def test_no_image_of_an_unseen_class_gives_it_no_score() -> None:
    labels = LABELS[SPACE.encode(LABELS) != 1]
    found = summarise(make(labels), {}, 0, np.arange(6) == 1).unseen
    assert (found.num_images, found.macro_f1, found.macro_f1_ci) == (0, None, None)
    assert found.seen_macro_f1 is not None


def test_nothing_held_out_gives_no_unseen_figures() -> None:
    assert summarise(make(LABELS), {}, 0).unseen is None
    assert summarise(make(LABELS), {}, 0, np.zeros(6, dtype=bool)).unseen is None


@pytest.mark.parametrize("learned", ["shared", "flat"])
def test_a_task_made_of_a_number_says_how_far_its_expected_value_is_off(learned: str) -> None:
    space = LabelSpace([Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0)), SPACE.tasks[1]])
    predictions = replace(make(LABELS), space=space, learned=space)
    predictions.log_probs["age"] = predictions.log_probs.pop("colour")
    if learned == "flat":
        flat = space.flattened()
        joint = predictions.joint_log_probs()
        predictions = replace(predictions, learned=flat, log_probs={flat.task_names[0]: joint})
    numbers = np.full((30, 2), np.nan)
    numbers[:20, 0] = np.linspace(10, 70, 20)
    predictions = replace(predictions, numbers=numbers)
    report = summarise(predictions, {}, 0, centres={"age": [20.0, 45.0, 65.0]})
    expected = predictions.task_log_probs()["age"].exp().numpy()[:20] @ [20.0, 45.0, 65.0] - numbers[:20, 0]
    number = report.tasks["age"].number
    assert number.num_images == 20
    assert number.mae == pytest.approx(np.abs(expected).mean())
    assert number.bias == pytest.approx(expected.mean())
    assert number.mae_ci[0] < number.mae < number.mae_ci[1]
    assert report.tasks["shape"].number is None
    for without in (
        summarise(predictions, {}, 0),
        summarise(replace(predictions, numbers=None), {}, 0, centres={"age": [1.0, 2.0, 3.0]}),
    ):
        assert without.tasks["age"].number is None
        assert without.joint == report.joint
