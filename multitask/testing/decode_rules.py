"""The contract of decode rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from multitask.errors import UserError
from multitask.evaluation.decode import (
    FITTED_RULES,
    AnyDecodeRule,
    DecodeRule,
    DecodeSettings,
    LabelledOutputs,
    ModelOutputs,
)
from multitask.evaluation.decode.base import best_cell
from multitask.labels import LabelSpace, Task
from multitask.settings import Settings, validate
from multitask.testing.expect import expect, expect_refusal

SPACE = LabelSpace([Task("size", ("s", "m", "l")), Task("colour", ("red", "blue"))])
SPACES = {
    "product": SPACE,
    "flat": SPACE.flattened(),
    "one task": LabelSpace([Task("size", ("s", "m", "l", "xl"))]),
    "impossible cells": LabelSpace(SPACE.tasks, [{"size": "s", "colour": "red"}, {"size": "l", "colour": "blue"}]),
}
"""Label spaces: a product, one head over all its classes, a single task, cells that cannot occur."""


_ELSEWHERE = LabelSpace([Task("other", ("a", "b"))])


class _Holder(Settings):
    rule: AnyDecodeRule


def log_probs_of(space: LabelSpace, rows: int, seed: int, scale: float = 2.0) -> dict[str, Tensor]:
    """Per head, (rows, C_t) drawn log-probabilities, float64."""
    generator = torch.Generator().manual_seed(seed)
    return {
        task.name: (scale * torch.randn(rows, task.num_classes, generator=generator)).double().log_softmax(dim=1)
        for task in space.tasks
    }


def make_known(
    space: LabelSpace = SPACE,
    rows: int = 120,
    seed: int = 0,
    *,
    signal: float = 1.5,
    missing: float = 0.0,
    joint: bool = False,
) -> LabelledOutputs:
    """Images of groups in a label space, with outputs that hold something of the labels.

    Args:
        space: the label space.
        rows: how many images; each class has one, as far as there are enough.
        seed: of the draws.
        signal: how much the outputs hold of the labels.
        missing: the share of labels that is not known.
        joint: whether with a joint term.
    """
    rng = np.random.default_rng(seed)
    possible = np.flatnonzero(space.possible)
    shares = 0.6 ** np.arange(len(possible))
    classes = np.concatenate([possible, rng.choice(possible, rows, p=shares / shares.sum())])[:rows]
    labels = space.decode(classes)
    log_probs = {
        task.name: torch.from_numpy(
            rng.normal(size=(rows, task.num_classes)) + signal * np.eye(task.num_classes)[labels[:, place]]
        ).log_softmax(1)
        for place, task in enumerate(space.tasks)
    }
    table = None
    if joint:
        table = space.joint_log_probs(log_probs) + torch.from_numpy(rng.normal(size=(rows, space.num_classes)))
        table = table.log_softmax(1)
    labels[rng.random(labels.shape) < missing] = -1
    groups = np.array([f"p{place // 4}" for place in rng.permutation(rows)], dtype=object)
    return LabelledOutputs(ModelOutputs.of(log_probs, space, table), labels, groups)


def _every_known() -> Iterator[LabelledOutputs]:
    for space in SPACES.values():
        for missing in (0.0, 0.2):
            for joint in (False, True):
                yield make_known(space, missing=missing, joint=joint)


def _expect_classes(settings: DecodeSettings, classes: object, rows: int, space: LabelSpace, when: str) -> None:
    right = isinstance(classes, np.ndarray) and classes.shape == (rows,) and classes.dtype == np.int64
    expect(right, settings, f"answer ({rows},) classes of int64 {when}")
    assert isinstance(classes, np.ndarray)
    expect(space.possible[classes].all(), settings, f"answer classes that can occur {when}")


def unfitted_answers_can_occur(
    settings: DecodeSettings, space: LabelSpace | None = None, rows: int = 6, seed: int = 0, scale: float = 1.0
) -> None:
    """Of drawn outputs, which stay as they are."""
    for one in SPACES.values() if space is None else (space,):
        log_probs = log_probs_of(one, rows, seed, scale)
        before = {task: values.clone() for task, values in log_probs.items()}
        classes = settings.unfitted().decode(ModelOutputs.of(log_probs, one))
        _expect_classes(settings, classes, rows, one, "before it is fitted")
        same = all(torch.equal(before[task], values) for task, values in log_probs.items())
        expect(same, settings, "leave the outputs as they are")


def certain_heads_are_believed(settings: DecodeSettings, space: LabelSpace | None = None, seed: int = 0) -> None:
    """Before it is fitted, where each head is sure of its label."""
    for one in SPACES.values() if space is None else (space,):
        classes = np.random.default_rng(seed).choice(np.flatnonzero(one.possible), size=4)
        labels = torch.from_numpy(one.decode(classes))
        log_probs = {
            task.name: (50.0 * torch.nn.functional.one_hot(labels[:, place], task.num_classes)).double().log_softmax(1)
            for place, task in enumerate(one.tasks)
        }
        found = settings.unfitted().decode(ModelOutputs.of(log_probs, one))
        believed = found.tolist() == classes.tolist()
        expect(believed, settings, "answer what all heads are certain of, before it is fitted")


def fitted_answers_can_occur_whatever_the_network_says(settings: DecodeSettings) -> None:
    """Also where a head all but excludes a label, and for no image at all."""
    for known in _every_known():
        space, fitted = known.space, settings.fit(known, None, 0)
        for rows, scale in ((0, 1.0), (50, 0.0), (50, 3.0), (50, 500.0)):
            log_probs = log_probs_of(space, rows, 1, scale)
            if scale == 500.0:
                next(iter(log_probs.values()))[0] = -torch.inf
            joint = None if known.outputs.joint is None else space.joint_log_probs(log_probs)
            classes = fitted.decode(ModelOutputs.of(log_probs, space, joint))
            _expect_classes(settings, classes, rows, space, "once it is fitted")


def parameters_survive_json_and_know_their_label_space(settings: DecodeSettings) -> None:
    """A run keeps them; what they become must be a row of ``FITTED_RULES``."""
    for known in _every_known():
        fitted = settings.fit(known, None, 0)
        name = fitted.name
        expect(
            FITTED_RULES.get(name) is type(fitted),
            settings,
            f"become a row of FITTED_RULES once fitted, as by FITTED_RULES[{name!r}] = {type(fitted).__name__}",
        )
        other = _again(fitted)
        expect(other == fitted, settings, "be the same after a journey through JSON")
        other.check(known.space)
        same = other.decode(known.outputs).tolist() == fitted.decode(known.outputs).tolist()
        expect(same, settings, "answer the same after a journey through JSON")
        own = set(type(fitted).model_fields) - {"name"}
        if any(getattr(fitted, key) for key in own):
            rule = "refuse, once fitted, another label space than it was fitted on"
            expect_refusal(partial(fitted.check, _ELSEWHERE), settings, "", rule)


def _again(fitted: DecodeRule) -> DecodeRule:
    return validate(_Holder, {"rule": json.loads(json.dumps(fitted.model_dump(mode="json")))}).rule


def neither_the_order_of_the_images_nor_the_rest_of_them_matters(settings: DecodeSettings) -> None:
    """Each image is answered alone, and to fit twice is to fit once."""
    for known in _every_known():
        fitted = settings.fit(known, None, 0)
        order = np.random.default_rng(3).permutation(len(known))
        expect(settings.fit(known, None, 0) == fitted, settings, "be fitted alike on the same images and seed")
        answers = fitted.decode(known.outputs)
        shuffled = settings.fit(known.take(order), None, 0).decode(known.outputs)
        expect(shuffled.tolist() == answers.tolist(), settings, "be fitted alike whatever order the images come in")
        reordered = fitted.decode(known.outputs.take(order)).tolist()
        expect(reordered == answers[order].tolist(), settings, "answer alike whatever order the images come in")
        alone = [fitted.decode(known.outputs.take(np.array([row])))[0] for row in range(3)]
        expect(alone == answers[:3].tolist(), settings, "answer an image alike alone and among others")


def the_class_score_is_greatest_at_the_class(settings: DecodeSettings) -> None:
    """Where a fitted rule has a score for exported files, they decide as it does."""
    for known in _every_known():
        fitted = settings.fit(known, None, 0)
        score = fitted.class_score(known.space, known.outputs.joint is not None)
        if score is not None:
            same = best_cell(score.of(known.outputs))[0].tolist() == fitted.decode(known.outputs).tolist()
            expect(same, settings, "answer the class of the greatest class_score, once it is fitted")


def it_is_no_worse_than_chance_on_others(settings: DecodeSettings) -> None:
    """On images that it was not fitted on."""
    for known in _every_known():
        fresh = make_known(known.space, rows=400, seed=5, joint=known.outputs.joint is not None)
        hits = float(np.mean(settings.fit(known, None, 0).decode(fresh.outputs) == fresh.classes))
        least = 1.5 / known.space.possible.sum()
        expect(hits > least, settings, f"answer more than {least:.0%} of easy images right, not {hits:.0%}")


def few_images_and_a_class_that_is_absent_are_no_obstacle(settings: DecodeSettings) -> None:
    """One image of one group; the same one twice; three."""
    for space in SPACES.values():
        known = make_known(space)
        for rows in ([0], [0, 0], [0, 1, 2]):
            classes = settings.fit(known.take(np.array(rows)), None, 0).decode(known.outputs)
            _expect_classes(settings, classes, len(known), space, f"fitted on {len(rows)} images")


def says_of_which_label_spaces_auto_may_pick_it(settings: DecodeSettings) -> None:
    """``num_parameters``: a number from 0, of a rule that its name alone makes; or None."""
    for space in SPACES.values():
        number = settings.num_parameters(space)
        if number is None:
            continue
        expect(isinstance(number, int) and number >= 0, settings, f"have 0 parameters or more, not {number!r}")
        try:
            validate(type(settings), {"name": settings.name})
        except UserError as error:
            rule = f"have a default for each key, as auto compares it; or no num_parameters: {error}"
            expect(False, settings, rule)


DECODE_CHECKS = (
    unfitted_answers_can_occur,
    certain_heads_are_believed,
    fitted_answers_can_occur_whatever_the_network_says,
    parameters_survive_json_and_know_their_label_space,
    neither_the_order_of_the_images_nor_the_rest_of_them_matters,
    the_class_score_is_greatest_at_the_class,
    it_is_no_worse_than_chance_on_others,
    few_images_and_a_class_that_is_absent_are_no_obstacle,
    says_of_which_label_spaces_auto_may_pick_it,
)
"""What is checked of a decode rule, each alone."""


def check_decode_rule(settings: DecodeSettings) -> None:
    """The contract of decode rules, whole, over one of them.

    >>> from multitask.evaluation.decode import DECODE_RULES
    >>> check_decode_rule(DECODE_RULES["joint"]())

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in DECODE_CHECKS:
        check(settings)
