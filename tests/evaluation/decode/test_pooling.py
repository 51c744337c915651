"""The algebra of pooling, over every row and every way in which heads hold the tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from multitask.errors import UserError
from multitask.evaluation.decode import (
    DECODE_RULES,
    POOLING_RULES,
    AnyPoolingRule,
    LabelledOutputs,
    LogPooling,
    MeanPooling,
    ModelOutputs,
    NoPooling,
    PoolingRule,
)
from multitask.evaluation.decode.group_tasks import GroupTasks
from multitask.evaluation.decode.pooling import pool
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import JOINT, LabelSpace, Task
from multitask.settings import Settings, validate
from multitask.testing.decode_rules import make_known

SPACE = LabelSpace([Task("mask", ("on", "off")), Task("gender", ("male", "female")), Task("age", ("<30", "30", ">60"))])
IMPOSSIBLE = LabelSpace(SPACE.tasks, [{"mask": "off", "age": ">60"}, {"gender": "male", "age": "<30"}])
TASKS = ("gender", "age")
HEADS = {
    "product": (SPACE, False),
    "joint term": (SPACE, True),
    "flat": (SPACE.flattened(), False),
    "impossible cells": (IMPOSSIBLE, True),
    "flat, impossible cells": (IMPOSSIBLE.flattened(), False),
}


class Holder(Settings):
    rule: AnyPoolingRule


@pytest.fixture(params=HEADS)
def known(request: pytest.FixtureRequest) -> LabelledOutputs:
    """120 images of 30 groups."""
    learned, joint = HEADS[request.param]
    return make_known(learned, joint=joint, missing=0.1)


@pytest.fixture(params=POOLING_RULES)
def row(request: pytest.FixtureRequest) -> type[PoolingRule]:
    found: type[PoolingRule] = POOLING_RULES[request.param]
    return found


def tasks_of(known: LabelledOutputs, names: tuple[str, ...] = TASKS) -> GroupTasks:
    return GroupTasks(IMPOSSIBLE if not known.space.possible.all() else SPACE, names)


def numbers(known: LabelledOutputs) -> IntArray:
    return np.unique(known.groups.astype(str), return_inverse=True)[1].astype(np.int64)


def class_probs(outputs: ModelOutputs) -> FloatArray:
    """(N, C) normalised over the cells that can occur."""
    scores = outputs.scores()
    probs = np.exp(scores - scores.max(axis=0))
    return np.asarray((probs / probs.sum(axis=0)).T)


def same(one: ModelOutputs, other: ModelOutputs) -> None:
    assert one.tables().keys() == other.tables().keys()
    for name, values in one.tables().items():
        np.testing.assert_allclose(np.exp(values), np.exp(other.tables()[name]), atol=1e-12, err_msg=name)


def test_rows_sum_to_one_and_are_finite(known: LabelledOutputs, row: type[PoolingRule]) -> None:
    found = pool(row.fit(known, tasks_of(known)), known.outputs, tasks_of(known), numbers(known))
    for values in found.tables().values():
        assert np.isfinite(values).all()
        np.testing.assert_allclose(np.exp(values).sum(axis=1), 1)


def test_a_group_of_one_is_itself_to_the_bit(known: LabelledOutputs, row: type[PoolingRule]) -> None:
    rule, tasks = row.fit(known, tasks_of(known)), tasks_of(known)
    alone = pool(rule, known.outputs, tasks, np.arange(len(known))[::-1].copy())
    for name, values in known.outputs.tables().items():
        np.testing.assert_array_equal(alone.tables()[name], values)
    groups = numbers(known)
    groups[7] = 1000
    mixed = pool(rule, known.outputs, tasks, groups)
    for name, values in known.outputs.tables().items():
        np.testing.assert_array_equal(mixed.tables()[name][7], values[7])


def test_the_order_of_images_and_the_names_of_groups_do_not_matter(
    known: LabelledOutputs, row: type[PoolingRule]
) -> None:
    rule, tasks, order = row.fit(known, tasks_of(known)), tasks_of(known), np.random.default_rng(0).permutation(120)
    whole = pool(rule, known.outputs, tasks, numbers(known))
    same(pool(rule, known.outputs.take(order), tasks, 1000 - 3 * numbers(known)[order]), whole.take(order))


def test_other_groups_do_not_matter(known: LabelledOutputs, row: type[PoolingRule]) -> None:
    rule, tasks, groups = row.fit(known, tasks_of(known)), tasks_of(known), numbers(known)
    rows = np.flatnonzero(groups % 3 == 0)
    whole = pool(rule, known.outputs, tasks, groups)
    same(pool(rule, known.outputs.take(rows), tasks, groups[rows]), whole.take(rows))


def marginals(outputs: ModelOutputs, tasks: GroupTasks) -> dict[str, FloatArray]:
    """By table, (N, ...) the probabilities of the tasks per group together, by the definition."""
    found = {}
    for name, values in outputs.tables().items():
        if name == JOINT or outputs.space != tasks.space:
            rest = tuple(place + 1 for place, task in enumerate(tasks.space.task_names) if task not in tasks.names)
            found[name] = np.exp(values).reshape(-1, *tasks.space.sizes).sum(axis=rest)
        elif name in tasks.names:
            found[name] = np.exp(values)
    return found


@pytest.mark.parametrize("names", [("gender",), ("mask", "age"), ("mask", "gender", "age")])
@pytest.mark.parametrize("name", ["mean", "log_pool"])
def test_within_a_group_the_tasks_per_group_are_alike_and_the_rest_is_the_images(
    known: LabelledOutputs, name: str, names: tuple[str, ...]
) -> None:
    tasks, groups = tasks_of(known, names), numbers(known)
    found = pool(POOLING_RULES[name].fit(known, tasks), known.outputs, tasks, groups)
    before, after = marginals(known.outputs, tasks), marginals(found, tasks)
    for table, values in after.items():
        for group in range(groups.max() + 1):
            inside = values[groups == group]
            np.testing.assert_allclose(inside, np.broadcast_to(inside[0], inside.shape), atol=1e-12)
        assert np.abs(values - before[table]).max() > 0.01
        if name == "mean":
            means = np.stack([before[table][groups == group].mean(axis=0) for group in range(groups.max() + 1)])
            np.testing.assert_allclose(values, means[groups], atol=1e-9)
    if known.space == tasks.space:
        for task in set(tasks.space.task_names) - set(names):
            np.testing.assert_array_equal(found.heads[task], known.outputs.heads[task])


@pytest.mark.parametrize("name", ["mean", "log_pool"])
def test_the_rest_given_the_tasks_per_group_stays_the_images(known: LabelledOutputs, name: str) -> None:
    tasks = tasks_of(known)
    found = pool(POOLING_RULES[name].fit(known, tasks), known.outputs, tasks, numbers(known))
    for table, values in known.outputs.tables().items():
        if len(tasks.axes(table, known.space)) == 1:
            continue
        before, after = (np.exp(one).reshape(-1, *SPACE.sizes) for one in (values, found.tables()[table]))
        totals = [one.sum(axis=1, keepdims=True) for one in (before, after)]  # over the masks
        can_be = np.broadcast_to(totals[0] > 0, before.shape)  # some gender and age have no cell that can occur
        was, now = (
            np.divide(one, total, where=can_be, out=np.zeros_like(one))
            for one, total in zip((before, after), totals, strict=True)
        )
        np.testing.assert_allclose(now, was, atol=1e-9)


def test_equal_evidence_changes_nothing_where_it_counts_once(known: LabelledOutputs) -> None:
    tasks, twice = tasks_of(known), np.repeat(np.arange(len(known)), 3)
    outputs, groups = known.outputs.take(twice), twice
    fitted = LogPooling.fit(known, tasks)
    assert isinstance(fitted, LogPooling)
    change = {"correlations": dict.fromkeys(fitted.correlations, 1.0)}
    once = [
        fitted.model_copy(update={**change, "temperatures": dict.fromkeys(fitted.temperatures, temperature)})
        for temperature in (0.2, 1.0, 3.0)
    ]
    for rule in (MeanPooling(), NoPooling(), *once):
        found = pool(rule, outputs, tasks, groups)
        np.testing.assert_allclose(class_probs(found), class_probs(outputs), atol=1e-9)
        heads = (one.without_joint() for one in (found, outputs))
        np.testing.assert_allclose(*map(class_probs, heads), atol=1e-9)


def test_evidence_that_is_independent_adds_up_as_by_bayes_rule() -> None:
    space = LabelSpace([Task("gender", ("male", "female"))])
    prior, probs = np.array([0.2, 0.8]), np.array([[0.6, 0.4], [0.3, 0.7], [0.5, 0.5]])
    prior_of = {"gender": tuple(np.log(prior))}
    rule = LogPooling(temperatures={"gender": 1.0}, correlations={"gender": 0.0}, log_priors=prior_of)
    outputs = ModelOutputs(space, {"gender": np.log(probs)})
    found = pool(rule, outputs, GroupTasks(space, ("gender",)), np.zeros(3, dtype=np.int64))
    expected = prior * (probs / prior).prod(axis=0)
    np.testing.assert_allclose(np.exp(found.heads["gender"][0]), expected / expected.sum())


def test_the_weight_is_fitted_to_how_far_images_are_alike() -> None:
    space, rng = LabelSpace([Task("gender", ("male", "female"))]), np.random.default_rng(0)
    labels = np.repeat(rng.integers(0, 2, 300), 6)

    def correlation(shared: float) -> float:
        """Fitted on images whose errors have the variance ``shared`` in common with their group's."""
        noise = np.repeat(rng.normal(size=300), 6) * np.sqrt(shared) + rng.normal(size=1800) * np.sqrt(1 - shared)
        score = (2 * labels - 1) + 1.0 * noise
        log_probs = -np.logaddexp(0, np.stack([2 * score, -2 * score], axis=1))
        known = LabelledOutputs(
            ModelOutputs(space, {"gender": log_probs}), labels[:, None], np.repeat(np.arange(300), 6)
        )
        fitted = LogPooling.fit(replace(known, groups=known.groups.astype(object)), GroupTasks(space, ("gender",)))
        assert isinstance(fitted, LogPooling)
        return fitted.correlations["gender"]

    assert correlation(0.0) < 0.1
    assert 0.3 < correlation(0.5) < 0.7
    assert correlation(1.0) > 0.9


@pytest.mark.parametrize("name", [name for name in DECODE_RULES if name != "auto"])
def test_each_decode_rule_answers_what_was_pooled(known: LabelledOutputs, row: type[PoolingRule], name: str) -> None:
    tasks = tasks_of(known)
    pooled = replace(known, outputs=pool(row.fit(known, tasks), known.outputs, tasks, numbers(known)))
    classes = validate(DECODE_RULES[name], {"name": name}).fit(pooled, None, 0).decode(pooled.outputs)
    assert known.space.possible[classes].all()
    if row is not NoPooling and name in ("independent", "joint") and known.space == tasks.space == SPACE:
        labels = SPACE.decode(classes)
        if pooled.outputs.joint is None:
            assert all(len(np.unique(labels[numbers(known) == group][:, 1:], axis=0)) == 1 for group in range(30))


def test_is_kept_as_json_and_checked(known: LabelledOutputs, row: type[PoolingRule]) -> None:
    tasks = tasks_of(known)
    rule = row.fit(known, tasks)
    text = Holder(rule=rule).model_dump_json()
    read = Holder.model_validate_json(text).rule
    assert read == rule
    read.check(tasks, known.space)
    same(pool(read, known.outputs, tasks, numbers(known)), pool(rule, known.outputs, tasks, numbers(known)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"correlations": {"mask": 0.5}}, r"^pooling\.correlations: must be of gender, age, joint, found \['mask'\]"),
        ({"log_priors": {"gender": (0.0, 0.0), "age": (0.0,)}}, r"^pooling\.log_priors\.age: must be 3 numbers"),
        ({"log_priors": {"gender": (0.0, 0.0)}}, r"^pooling\.log_priors: must be of gender, age"),
        (
            {"log_priors": {"gender": (0.0, 0.0), "age": (0.0,) * 3, "joint": (0.0,) * 6}},
            r"^pooling\.log_priors: must be of the same heads as temperatures",
        ),
    ],
)
def test_parameters_of_another_space_are_refused(change: dict[str, object], match: str) -> None:
    known = make_known(SPACE)
    rule = LogPooling.fit(known, GroupTasks(SPACE, TASKS))
    with pytest.raises(UserError, match=match):
        rule.model_copy(update=change).check(GroupTasks(SPACE, TASKS), SPACE)


def test_nothing_known_pools_as_the_mean_of_logs(make_known: Callable[..., LabelledOutputs]) -> None:
    known = make_known(SPACE, missing=1.0)
    fitted = LogPooling.fit(known, GroupTasks(SPACE, TASKS))
    assert isinstance(fitted, LogPooling)
    assert fitted.correlations == fitted.temperatures == {"gender": 1.0, "age": 1.0}
