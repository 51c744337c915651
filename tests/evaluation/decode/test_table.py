"""What every decode rule keeps to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.errors import UserError
from multitask.evaluation.decode import (
    DECODE_RULES,
    DecodeSettings,
    ModelOutputs,
)
from multitask.labels import LabelSpace, Task
from multitask.testing.decode_rules import (
    DECODE_CHECKS,
    SPACES,
    certain_heads_are_believed,
    log_probs_of,
    make_known,
    unfitted_answers_can_occur,
)

DECODES = DECODE_RULES
every_rule = pytest.mark.parametrize("name", DECODES)


def rule(name: str) -> DecodeSettings:
    settings_: Any = DECODES[name]()
    assert isinstance(settings_, DecodeSettings)
    return settings_


@st.composite
def spaces(draw: st.DrawFn) -> LabelSpace:
    """Label spaces with cells that cannot occur."""
    sizes = draw(st.lists(st.integers(2, 4), min_size=1, max_size=3))
    tasks = [Task(f"t{i}", tuple(f"c{j}" for j in range(size))) for i, size in enumerate(sizes)]
    cells = st.tuples(*(st.integers(0, size - 1) for size in sizes))
    chosen = draw(st.sets(cells, max_size=int(np.prod(sizes)) - 2))
    return LabelSpace(tasks, [{f"t{i}": f"c{j}" for i, j in enumerate(cell)} for cell in chosen])


# --- before it is fitted ------------------------------------------------------------------------------------------


@every_rule
@given(space=spaces(), rows=st.integers(0, 6), seed=st.integers(0, 999), scale=st.sampled_from([0.0, 1.0, 500.0]))
@settings(deadline=None, max_examples=40)
def test_answers_are_classes_that_can_occur(name: str, space: LabelSpace, rows: int, seed: int, scale: float) -> None:
    unfitted_answers_can_occur(rule(name), space, rows, seed, scale)


@every_rule
@given(space=spaces(), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_certain_heads_are_believed(name: str, space: LabelSpace, seed: int) -> None:
    certain_heads_are_believed(rule(name), space, seed)


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


# --- whole --------------------------------------------------------------------------------------------------------


@every_rule
@pytest.mark.parametrize("check", DECODE_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[DecodeSettings], None], name: str) -> None:
    check(rule(name))


def test_whoever_holds_nothing_of_a_label_space_fits_all() -> None:
    elsewhere = LabelSpace([Task("other", ("a", "b"))])
    for name in DECODES:
        fitted = rule(name).fit(make_known(SPACES["product"]), None, 0)
        if fitted.name in ("independent", "joint"):
            fitted.check(elsewhere)
        else:
            with pytest.raises(UserError):
                fitted.check(elsewhere)
