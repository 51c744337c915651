from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from multitask.evaluation.decode import AnyDecode, DecodeSettings
from multitask.labels import LabelSpace, Task
from multitask.settings import variant_classes

DECODES = variant_classes(AnyDecode)
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


def log_probs_of(space: LabelSpace, rows: int, seed: int, scale: float = 2.0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        task.name: (scale * torch.randn(rows, task.num_classes, generator=generator)).double().log_softmax(dim=1)
        for task in space.tasks
    }


@every_rule
@given(space=spaces(), rows=st.integers(0, 6), seed=st.integers(0, 999), scale=st.sampled_from([0.0, 1.0, 500.0]))
@settings(deadline=None, max_examples=60)
def test_answers_are_classes_that_can_occur(name: str, space: LabelSpace, rows: int, seed: int, scale: float) -> None:
    log_probs = log_probs_of(space, rows, seed, scale)
    before = {task: values.clone() for task, values in log_probs.items()}
    classes = rule(name).decode(log_probs, space)
    assert classes.shape == (rows,)
    assert classes.dtype == np.int64
    assert space.possible[classes].all()
    assert all(torch.equal(before[task], values) for task, values in log_probs.items())


@every_rule
@given(space=spaces(), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=30)
def test_answers_do_not_depend_on_the_rest_of_the_batch(name: str, space: LabelSpace, seed: int) -> None:
    log_probs = log_probs_of(space, 5, seed)
    whole = rule(name).decode(log_probs, space)
    for row in range(5):
        alone = rule(name).decode({task: values[row : row + 1] for task, values in log_probs.items()}, space)
        assert alone[0] == whole[row]


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
    assert rule(name).decode(log_probs, space).tolist() == classes.tolist()


@given(space=spaces(), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=80)
def test_independent_is_the_best_possible_cell_of_the_product(space: LabelSpace, seed: int) -> None:
    log_probs = log_probs_of(space, 8, seed)
    found = rule("independent").decode(log_probs, space)
    for row in range(8):
        scores = [
            sum(log_probs[f"t{i}"][row, label].item() for i, label in enumerate(labels))
            for labels in space.decode(np.arange(space.num_classes))
        ]
        best = max(score for score, can in zip(scores, space.possible, strict=True) if can)
        assert scores[found[row]] == pytest.approx(best, abs=1e-9)
