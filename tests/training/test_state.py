from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

from multitask.progress import ConflictSteps, EpochRecord, HeadLosses, LabelScores, TrainingScores, ValidationScores
from multitask.settings import validate
from multitask.training.settings import TrainingSettings
from multitask.training.state import check_history, check_optimizer, check_state
from multitask.utils.records import to_data

OWN = {"a": torch.ones(2, 3), "n": torch.tensor(0)}


def row(epoch: Any, **changes: Any) -> dict[str, Any]:
    scores = {"joint": {"macro_f1": 0.5}}
    return {"epoch": epoch, "best": epoch == 1, "train": {}, "seconds": 1.0, "val": scores, **changes}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ([1], "its state is no mapping"),
        ({"a": torch.ones(2, 3)}, "it lacks 'n'"),
        ({**OWN, "b": torch.ones(1)}, "it holds 'b'"),
        ({**OWN, "a": torch.ones(3, 2)}, r"a must be float32 \(2, 3\), found float32 \(3, 2\)"),
        ({**OWN, "a": torch.ones(2, 3, dtype=torch.int64)}, r"found int64"),
        ({**OWN, "a": 3.0}, "found a number"),
        ({**OWN, "a": torch.full((2, 3), torch.nan)}, "a holds what is no number"),
    ],
)
def test_a_state_of_another_module_is_refused(found: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        check_state(OWN, found)
    check_state(OWN, dict(OWN))


@pytest.mark.parametrize(
    "history",
    [
        None,
        [],
        [3],
        [row(2)],
        [row(1), row(3)],
        [row(1), row(2), row(3), row(4)],
        [row("1")],
        [row(1, best=None)],
        [row(1, best=False)],
        [row(1, train=None)],
        [row(1, val={"joint": {"macro_f1": "good"}})],
    ],
)
def test_a_history_that_is_not_that_of_the_epochs_is_refused(history: Any) -> None:
    settings = validate(TrainingSettings, {"epochs": 3})
    with pytest.raises((ValueError, KeyError, TypeError)):
        check_history(history, settings)
    check_history([row(1), row(2, val=None)], settings)


def test_a_history_goes_round_with_what_is_no_number() -> None:
    settings = validate(TrainingSettings, {"epochs": 3})
    losses = {"colour": HeadLosses(loss=math.nan, nll=math.nan), "size": HeadLosses(loss=1.5)}
    scores = ValidationScores(loss=math.inf, joint=LabelScores(loss=math.nan, macro_f1=math.nan, accuracy=0.0))
    train = TrainingScores(loss=0.1, tasks=losses, conflict_steps={"colour": {"size": ConflictSteps(num=2, sd=None)}})
    record = EpochRecord(epoch=1, lr=0.1, seconds=0.3, images_per_s=7.0, train=train, val=scores, best=True)
    rows = to_data([record])
    assert json.dumps(to_data(check_history(rows, settings))) == json.dumps(rows)


def stepped() -> torch.optim.Optimizer:
    parameter = torch.nn.Parameter(torch.ones(2, 3))
    optimizer = torch.optim.AdamW([parameter])
    parameter.grad = torch.ones(2, 3)
    optimizer.step()
    return optimizer


KEYS = frozenset([frozenset(["step", "exp_avg", "exp_avg_sq"])])


def test_an_optimisers_state_of_another_shape_kind_or_with_other_options_is_refused() -> None:
    options = [dict(group) for group in stepped().param_groups]
    check_optimizer(stepped(), options, KEYS)
    for name, value in (("exp_avg", torch.ones(3, 2)), ("exp_avg", torch.ones(2, 3, dtype=torch.int64))):
        wrong = stepped()
        next(iter(wrong.state.values()))[name] = value
        with pytest.raises(ValueError, match=r"the optimiser's exp_avg must be float32 \(2, 3\)"):
            check_optimizer(wrong, options, KEYS)
    lacking = stepped()
    del next(iter(lacking.state.values()))["exp_avg"]
    with pytest.raises(ValueError, match="the optimiser's state has"):
        check_optimizer(lacking, options, KEYS)
    other = stepped()
    other.param_groups[0]["betas"] = "fast"
    with pytest.raises(ValueError, match=r"the optimiser's betas must be \(0\.9, 0\.999\), found 'fast'"):
        check_optimizer(other, options, KEYS)
