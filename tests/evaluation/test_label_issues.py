"""Suspects of answers that are made up, so that the truth is known."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from multitask.errors import UserError
from multitask.evaluation.confident_learning import RANKS
from multitask.evaluation.group_pooling import Pooling
from multitask.evaluation.label_issues import find_suspects, shares_constant
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.suspects import Audit
from multitask.labels import JOINT, MISSING, LabelSpace, Task

SPACE = LabelSpace([Task("mask", ("worn", "off")), Task("gender", ("male", "female"))])
NUM_GROUPS, SIZE = 200, 6


def made_up(seed: int = 0, flipped: int = 10, space: LabelSpace = SPACE) -> tuple[Predictions, set[str], set[str]]:
    """Answers, the groups whose second label is wrong, and the images whose first is.

    What a network says of an image's gender is the truth, and an error of the group's and one of the image's.
    """
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(NUM_GROUPS), SIZE)
    truth = rng.integers(0, 2, NUM_GROUPS)
    signal = 3.0 * (2 * truth - 1)[groups] + rng.normal(0, 1.0, NUM_GROUPS)[groups] + rng.normal(0, 4.0, len(groups))
    masks = rng.integers(0, 2, len(groups))
    mask_signal = 6.0 * (2 * masks - 1) + rng.normal(0, 1.5, len(groups))
    wrong_groups = rng.choice(NUM_GROUPS, flipped, replace=False)
    wrong_images = rng.choice(len(groups), flipped, replace=False)
    given_gender = truth.copy()
    given_gender[wrong_groups] = 1 - given_gender[wrong_groups]
    given_mask = masks.copy()
    given_mask[wrong_images] = 1 - given_mask[wrong_images]
    log_probs = {
        name: torch.from_numpy(np.stack([-values / 2, values / 2], axis=1)).log_softmax(dim=1)
        for name, values in (("mask", mask_signal), ("gender", signal))
    }
    images = np.array([f"p{group}/{row}.jpg" for row, group in enumerate(groups)], dtype=object)
    names = np.array([f"p{group}" for group in groups], dtype=object)
    labels = np.stack([given_mask, given_gender[groups]], axis=1)
    predicted = space.joint_log_probs(log_probs).argmax(dim=1).numpy()
    predictions = Predictions(space, space, images, names, labels, log_probs, predicted)
    return predictions, {f"p{group}" for group in wrong_groups}, set(images[wrong_images])


def of_head(audit: Audit, head: str) -> list:
    return [suspect for suspect in audit.suspects if suspect.head == head]


def test_planted_errors_are_found_and_constant_tasks_are_found_too() -> None:
    predictions, groups, images = made_up()
    audit = find_suspects(predictions)
    assert audit.constant == ("gender",)
    assert [(row.head, row.unit, row.num_units) for row in audit.heads] == [
        ("mask", "image", NUM_GROUPS * SIZE),
        ("gender", "group", NUM_GROUPS),
        (JOINT, "image", NUM_GROUPS * SIZE),
    ]
    found = {suspect.group: suspect for suspect in of_head(audit, "gender")}
    assert len(groups & found.keys()) >= 9
    assert len(found) <= len(groups) + 6
    for suspect in found.values():
        given = predictions.labels[predictions.groups == suspect.group][0, 1]
        assert suspect.given == SPACE.tasks[1].classes[given]
        assert suspect.suggested == SPACE.tasks[1].classes[1 - given]
        assert len(suspect.images) == SIZE
        (change,) = suspect.changes
        assert (change.path, change.task) == (suspect.group, "gender")
        assert (change.given, change.suggested) == (suspect.given, suspect.suggested)
    masks = {suspect.images[0] for suspect in of_head(audit, "mask")}
    assert len(images & masks) >= 9
    assert len(masks) <= len(images) + 6


def test_pooled_evidence_finds_more_with_fewer_false_alarms() -> None:
    counts = np.zeros((2, 3))
    for seed in range(3):
        predictions, groups, _ = made_up(seed)
        wrong = np.isin(predictions.groups, list(groups))
        for way, constant in enumerate((None, ())):
            suspects = of_head(find_suspects(predictions, constant=constant), "gender")
            flagged = np.isin(predictions.images, [image for suspect in suspects for image in suspect.images])
            counts[way] += (flagged & wrong).sum(), flagged.sum(), wrong.sum()
    precision, recall = counts[:, 0] / counts[:, 1], counts[:, 0] / counts[:, 2]
    assert precision[0] > precision[1] + 0.3
    assert recall[0] > recall[1]


def test_confidence_is_how_often_the_suggestion_is_right() -> None:
    right, said = [], []
    for seed in range(4):
        predictions, groups, _ = made_up(seed)
        for suspect in of_head(find_suspects(predictions), "gender"):
            right.append(suspect.group in groups)
            said.append(suspect.confidence)
    assert np.mean(right) == pytest.approx(np.mean(said), abs=0.25)
    surer = np.array(said) > np.median(said)
    assert np.mean(np.array(right)[surer]) > np.mean(np.array(right)[~surer])


def test_the_most_suspect_come_first_and_the_joint_class_last() -> None:
    predictions, _, _ = made_up()
    for rank in RANKS:
        suspects = find_suspects(predictions, rank=rank).suspects
        order = [(suspect.head == JOINT, suspect.score) for suspect in suspects]
        assert order == sorted(order)
        assert all(0 <= suspect.score <= 1 for suspect in suspects)
    first = find_suspects(predictions).suspects[0]
    assert first.score == pytest.approx(first.self_confidence)


def test_what_the_tasks_say_the_joint_class_does_not_say_again() -> None:
    predictions, _, _ = made_up()
    audit = find_suspects(predictions)
    said = {change for suspect in audit.suspects if suspect.head != JOINT for change in suspect.changes}
    for suspect in of_head(audit, JOINT):
        assert not said.issuperset(suspect.changes)
        assert suspect.changes
    joint = audit.heads[-1]
    assert joint.num_suspects > joint.num_listed == len(of_head(audit, JOINT))
    for row in audit.heads:
        assert row.num_sure == sum(suspect.is_sure for suspect in of_head(audit, row.head))


def test_a_network_that_knows_nothing_is_no_better_than_the_commonest_label() -> None:
    predictions, _, _ = made_up()
    assert all(row.beats_commonest and row.accuracy > 0.8 for row in find_suspects(predictions).heads)
    noise = torch.randn(len(predictions), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    hopeless = replace(predictions, log_probs=dict.fromkeys(SPACE.task_names, noise.log_softmax(dim=1)))
    audit = find_suspects(hopeless)
    mask, gender, joint = audit.heads
    assert not any(row.beats_commonest for row in audit.heads)
    assert mask.accuracy == pytest.approx(0.5, abs=0.05)
    assert 0.5 <= mask.commonest < 0.6
    assert 0.25 <= joint.commonest < 0.4
    given = predictions.labels[:: len(predictions) // NUM_GROUPS, 1]
    assert gender.commonest == pytest.approx(np.bincount(given).max() / NUM_GROUPS)


def test_what_is_settled_is_no_suspect() -> None:
    predictions, groups, _ = made_up()
    settled = np.zeros(predictions.labels.shape, dtype=bool)
    one = sorted(groups)[0]
    settled[np.flatnonzero(predictions.groups == one)[0], 1] = True
    found = {suspect.group for suspect in of_head(find_suspects(predictions, settled=settled), "gender")}
    assert found == {suspect.group for suspect in of_head(find_suspects(predictions), "gender")} - {one}


def test_a_class_of_which_a_label_is_settled_is_no_suspect() -> None:
    predictions, _, _ = made_up()
    found = {suspect.images[0] for suspect in of_head(find_suspects(predictions), JOINT)}
    one = sorted(found)[0]
    for column in range(SPACE.num_tasks):
        settled = np.zeros(predictions.labels.shape, dtype=bool)
        settled[predictions.images == one, column] = True
        left = {suspect.images[0] for suspect in of_head(find_suspects(predictions, settled=settled), JOINT)}
        assert one not in left
        assert found - left <= {one}


def test_the_joint_class_has_the_evidence_of_the_whole_group() -> None:
    predictions, groups, _ = made_up()
    wrong = np.isin(predictions.groups, list(groups)).sum()
    pooled, alone = (find_suspects(predictions, constant=constant).heads[-1].num_suspects for constant in (None, ()))
    assert abs(pooled - wrong) < abs(alone - wrong) / 2


def test_a_group_that_contradicts_itself_is_suspect_where_the_task_must_be_constant() -> None:
    predictions, groups, _ = made_up()
    labels = predictions.labels.copy()
    name = next(name for name in predictions.groups if name not in groups)
    rows = np.flatnonzero(predictions.groups == name)
    labels[rows[:2], 1] = 1 - labels[rows[0], 1]
    predictions = replace(predictions, labels=labels)
    audit = find_suspects(predictions)
    assert audit.constant == ()
    assert audit.nearly == {"gender": 1 - 1 / NUM_GROUPS}
    audit = find_suspects(predictions, constant=["gender"])
    assert audit.nearly == {}
    (suspect,) = [suspect for suspect in of_head(audit, "gender") if suspect.group == name]
    assert suspect.disagrees
    assert suspect.given == "male and female"
    assert suspect.reason == "the images of the group are labelled differently"
    assert suspect.suggested == SPACE.tasks[1].classes[labels[rows[2], 1]]  # the evidence is with most of the images
    assert {change.suggested for change in suspect.changes} == {suspect.suggested}
    assert [change.given for change in suspect.changes] == ["female" if suspect.suggested == "male" else "male"]


def test_missing_labels_are_no_suspects_and_say_nothing_of_constancy() -> None:
    predictions, _, _ = made_up()
    labels = predictions.labels.copy()
    labels[::SIZE, 1] = MISSING
    labels[: SIZE * 20, 1] = MISSING
    audit = find_suspects(replace(predictions, labels=labels))
    assert audit.constant == ("gender",)
    assert audit.heads[1].num_units == NUM_GROUPS - 20
    gone = {f"p{group}" for group in range(20)}
    assert not gone & {suspect.group for suspect in of_head(audit, "gender")}
    labels[:, 1] = MISSING
    audit = find_suspects(replace(predictions, labels=labels))
    assert audit.heads[1].num_units == audit.heads[2].num_units == 0
    assert "gender" not in shares_constant(replace(predictions, labels=labels))
    assert {suspect.head for suspect in audit.suspects} == {"mask"}


def test_labels_of_one_kind_give_no_suspects() -> None:
    predictions, _, _ = made_up()
    labels = np.zeros_like(predictions.labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_suspects(replace(predictions, labels=labels)).suspects == ()


def test_a_cell_that_cannot_occur_is_never_suggested() -> None:
    space = LabelSpace(list(SPACE.tasks), [{"mask": "off", "gender": "female"}])
    predictions, _, _ = made_up(space=space)
    keep = np.flatnonzero(~((predictions.labels == 1).all(axis=1)))
    audit = find_suspects(predictions.take(keep))
    for suspect in of_head(audit, JOINT):
        assert suspect.suggested != "off/female"


def test_a_task_that_is_not_there_is_named() -> None:
    predictions, _, _ = made_up()
    with pytest.raises(UserError, match=r"^--constant gendr: is no task; did you mean 'gender'\?$"):
        find_suspects(predictions, constant=["gendr"])


# --- pooling ----------------------------------------------------------------------------------------------------------


def pooled(correlation: float | None) -> Pooling:
    even = np.log([0.5, 0.5])
    return Pooling(1.0, correlation, 0.4, even, even)


def test_independent_images_add_up_and_one_alone_is_itself() -> None:
    log_probs = np.log([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    units = np.array([0, 0, 1])
    probs = pooled(0.0).probs(log_probs, units)
    assert probs[0] == pytest.approx([0.48 / 0.56, 0.08 / 0.56])
    assert probs[1] == pytest.approx([0.3, 0.7])
    one = pooled(1.0).probs(log_probs, units)  # the mean of the logarithms
    assert one[0] == pytest.approx(np.sqrt([0.48, 0.08]) / np.sqrt([0.48, 0.08]).sum())
    assert one[1] == pytest.approx([0.3, 0.7])


def test_the_prior_counts_once_however_many_images_there_are() -> None:
    prior = np.log([0.9, 0.1])
    log_probs = np.tile(prior, (8, 1))  # eight images that say nothing
    probs = Pooling(1.0, 0.0, 0.0, prior, prior).probs(log_probs, np.zeros(8, dtype=np.int64))
    assert probs[0] == pytest.approx([0.9, 0.1])


def test_copies_of_one_image_count_as_one() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 500)
    signal = 2.0 * (2 * truth - 1) + rng.normal(0, 2.0, 500)
    single = torch.from_numpy(np.stack([-signal / 2, signal / 2], axis=1)).log_softmax(dim=1).numpy()
    units = np.repeat(np.arange(500), 5)
    copies = Pooling.fit(single[units], units, truth)
    assert copies.correlation == pytest.approx(1.0, abs=0.1)
    assert Pooling.fit(single, np.arange(500), truth).correlation is None


def test_independent_images_are_seen_to_be_that() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 500)
    units = np.repeat(np.arange(500), 5)
    signal = 0.5 * (2 * truth - 1)[units] + rng.normal(0, 1.0, len(units))
    log_probs = torch.from_numpy(np.stack([-signal / 2, signal / 2], axis=1)).log_softmax(dim=1).numpy()
    fitted = Pooling.fit(log_probs, units, truth)
    assert fitted.correlation is not None
    assert fitted.correlation <= 0.15
    assert fitted.temperature == pytest.approx(1.0, rel=0.25)  # its log-odds are right as they are


def test_temperature_is_seen_through_wrong_labels() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 4000)
    signal = 8.0 * (2 * truth - 1) + rng.normal(0, 4.0, 4000)  # a log-odds that is right as it is
    log_probs = torch.from_numpy(np.stack([-signal / 2, signal / 2], axis=1)).log_softmax(dim=1).numpy()
    flipped = np.where(rng.random(4000) < 0.05, 1 - truth, truth)
    fitted = Pooling.fit(log_probs, np.arange(4000), flipped)
    assert fitted.noise == pytest.approx(0.05, abs=0.02)
    assert fitted.temperature == pytest.approx(1.0, rel=0.3)


def test_confidence_weighs_the_evidence_against_how_rare_errors_are() -> None:
    found = pooled(0.0).confidence(np.array([[0.1, 0.9], [0.01, 0.99]]), np.array([0, 0]))
    # A label is the given one with .6 and the other with .4: .1 * .6 against .9 * .4, and .01 * .6 against .99 * .4
    assert found[0] == pytest.approx([0.06 / 0.42, 0.36 / 0.42])
    assert found[1, 1] == pytest.approx(0.396 / 0.402)
