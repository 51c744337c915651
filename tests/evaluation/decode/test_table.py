"""What every decode rule keeps to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from multitask.errors import UserError
from multitask.evaluation.decode import (
    DECODE_RULES,
    AnyDecodeRule,
    DecodeRule,
    DecodeSettings,
    LabelledOutputs,
    ModelOutputs,
)
from multitask.labels import LabelSpace, Task
from multitask.settings import Settings, validate

DECODES = DECODE_RULES
every_rule = pytest.mark.parametrize("name", DECODES)


class Holder(Settings):
    rule: AnyDecodeRule


def rule(name: str) -> DecodeSettings:
    settings_: Any = DECODES[name]()
    assert isinstance(settings_, DecodeSettings)
    return settings_


def again(fitted: DecodeRule) -> DecodeRule:
    """The rule after a journey through JSON."""
    return validate(Holder, {"rule": json.loads(json.dumps(fitted.model_dump(mode="json")))}).rule


@st.composite
def spaces(draw: st.DrawFn) -> LabelSpace:
    """Label spaces with cells that cannot occur."""
    sizes = draw(st.lists(st.integers(2, 4), min_size=1, max_size=3))
    tasks = [Task(f"t{i}", tuple(f"c{j}" for j in range(size))) for i, size in enumerate(sizes)]
    cells = st.tuples(*(st.integers(0, size - 1) for size in sizes))
    chosen = draw(st.sets(cells, max_size=int(np.prod(sizes)) - 2))
    return LabelSpace(tasks, [{f"t{i}": f"c{j}" for i, j in enumerate(cell)} for cell in chosen])


def log_probs_of(space: LabelSpace, rows: int, seed: int, scale: float = 2.0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        task.name: (scale * torch.randn(rows, task.num_classes, generator=generator)).double().log_softmax(dim=1)
        for task in space.tasks
    }


# --- before it is fitted ------------------------------------------------------------------------------------------


@every_rule
@given(space=spaces(), rows=st.integers(0, 6), seed=st.integers(0, 999), scale=st.sampled_from([0.0, 1.0, 500.0]))
@settings(deadline=None, max_examples=40)
def test_answers_are_classes_that_can_occur(name: str, space: LabelSpace, rows: int, seed: int, scale: float) -> None:
    log_probs = log_probs_of(space, rows, seed, scale)
    before = {task: values.clone() for task, values in log_probs.items()}
    classes = rule(name).unfitted().decode(ModelOutputs.of(log_probs, space))
    assert classes.shape == (rows,)
    assert classes.dtype == np.int64
    assert space.possible[classes].all()
    assert all(torch.equal(before[task], values) for task, values in log_probs.items())


@every_rule
@given(space=spaces(), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_certain_heads_are_believed(name: str, space: LabelSpace, seed: int) -> None:
    classes = np.random.default_rng(seed).choice(np.flatnonzero(space.possible), size=4)
    labels = torch.from_numpy(space.decode(classes))
    log_probs = {
        task.name: (50.0 * torch.nn.functional.one_hot(labels[:, i], task.num_classes)).double().log_softmax(dim=1)
        for i, task in enumerate(space.tasks)
    }
    assert rule(name).unfitted().decode(ModelOutputs.of(log_probs, space)).tolist() == classes.tolist()


@pytest.mark.parametrize("name", ["independent", "joint"])
@given(space=spaces(), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_without_a_joint_term_both_are_the_best_possible_cell(name: str, space: LabelSpace, seed: int) -> None:
    log_probs = log_probs_of(space, 8, seed)
    found = rule(name).unfitted().decode(ModelOutputs.of(log_probs, space))
    for row in range(8):
        scores = [
            sum(log_probs[f"t{i}"][row, label].item() for i, label in enumerate(labels))
            for labels in space.decode(np.arange(space.num_classes))
        ]
        best = max(score for score, can in zip(scores, space.possible, strict=True) if can)
        assert scores[found[row]] == pytest.approx(best, abs=1e-9)


# --- fitted -------------------------------------------------------------------------------------------------------


@every_rule
@pytest.mark.parametrize("joint", [False, True], ids=["heads", "joint term"])
@pytest.mark.parametrize("missing", [0.0, 0.2])
class TestFitted:
    @pytest.fixture
    def known(
        self, make_known: Callable[..., LabelledOutputs], space: LabelSpace, joint: bool, missing: float
    ) -> LabelledOutputs:
        return make_known(space, missing=missing, joint=joint)

    def test_answers_are_classes_that_can_occur_whatever_the_network_says(
        self, name: str, known: LabelledOutputs
    ) -> None:
        space = known.space
        fitted = rule(name).fit(known, None, 0)
        for rows, scale in ((0, 1.0), (50, 0.0), (50, 3.0), (50, 500.0)):
            log_probs = log_probs_of(space, rows, 1, scale)
            if scale == 500.0:
                next(iter(log_probs.values()))[0] = -torch.inf
            joint = None if known.outputs.joint is None else space.joint_log_probs(log_probs)
            classes = fitted.decode(ModelOutputs.of(log_probs, space, joint))
            assert classes.shape == (rows,)
            assert classes.dtype == np.int64
            assert space.possible[classes].all()

    def test_parameters_survive_json_and_know_their_label_space(self, name: str, known: LabelledOutputs) -> None:
        fitted = rule(name).fit(known, None, 0)
        other = again(fitted)
        assert other == fitted
        other.check(known.space)
        assert other.decode(known.outputs).tolist() == fitted.decode(known.outputs).tolist()
        if fitted.name not in ("independent", "joint"):
            with pytest.raises(UserError):
                fitted.check(LabelSpace([Task("other", ("a", "b"))]))

    def test_neither_the_order_of_the_pictures_nor_the_rest_of_them_matters(
        self, name: str, known: LabelledOutputs
    ) -> None:
        fitted = rule(name).fit(known, None, 0)
        order = np.random.default_rng(3).permutation(len(known))
        assert rule(name).fit(known, None, 0) == fitted
        shuffled = rule(name).fit(known.take(order), None, 0)
        answers = fitted.decode(known.outputs)
        assert shuffled.decode(known.outputs).tolist() == answers.tolist()
        assert fitted.decode(known.outputs.take(order)).tolist() == answers[order].tolist()
        for row in range(3):
            assert fitted.decode(known.outputs.take(np.array([row])))[0] == answers[row]

    def test_it_is_no_worse_than_chance_on_others(
        self, name: str, known: LabelledOutputs, make_known: Callable[..., LabelledOutputs], joint: bool
    ) -> None:
        fresh = make_known(known.space, rows=400, seed=5, joint=joint)
        hits = np.mean(rule(name).fit(known, None, 0).decode(fresh.outputs) == fresh.classes)
        assert hits > 1.5 / known.space.possible.sum()


@every_rule
def test_one_person_one_picture_and_a_class_that_is_absent_are_no_obstacle(
    name: str, make_known: Callable[..., LabelledOutputs], space: LabelSpace
) -> None:
    known = make_known(space)
    for rows in ([0], [0, 0], [0, 1, 2]):
        fitted = rule(name).fit(known.take(np.array(rows)), None, 0)
        assert space.possible[fitted.decode(known.outputs)].all()
