from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from multitask.errors import UserError
from multitask.settings import validate
from multitask.testing import schedules
from multitask.testing.schedules import LR, SCHEDULE_CHECKS, UPDATES
from multitask.training import SCHEDULES, ScheduleSettings
from multitask.training.settings import OptimizerSettings, TrainingSettings

every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def schedule_of(name: str, **changes: Any) -> ScheduleSettings:
    found = validate(SCHEDULES[name], {"name": name, **changes})
    assert isinstance(found, ScheduleSettings)
    return found


def rates(name: str, epochs: int = 6, **changes: Any) -> list[float]:
    """The learning rate of every update of a run, and the one after it."""
    return schedules.rates(schedule_of(name, **changes), epochs)


@every_schedule
@pytest.mark.parametrize("check", SCHEDULE_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[ScheduleSettings], None], name: str, caplog: Any) -> None:
    check(schedule_of(name))
    assert not caplog.records
    assert logging.getLogger("timm.scheduler.cosine_lr").level == logging.NOTSET  # a user's own loggers are theirs


@every_schedule
@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_never_rises_after_the_warm_up(name: str, warmup: int) -> None:
    found = rates(name, warmup_epochs=warmup)
    top = warmup * UPDATES
    assert all(later <= earlier + 1e-12 for earlier, later in zip(found[top:], found[top + 1 :], strict=False))
    assert all(math.isfinite(value) and value > 0 for value in found)


@every_schedule
@pytest.mark.parametrize(("epochs", "warmup"), [(1, 0), (1, 1), (2, 1)])
def test_the_shortest_runs_have_a_schedule(name: str, epochs: int, warmup: int) -> None:
    validate(TrainingSettings, {"epochs": epochs, "schedule": {"name": name, "warmup_epochs": warmup}})
    assert all(value > 0 for value in rates(name, epochs=epochs, warmup_epochs=warmup))


@pytest.mark.parametrize("name", ["cosine", "linear"])
@pytest.mark.parametrize("final", [0.0, 0.01, 0.5, 1.0])
def test_ends_at_the_final_share(name: str, final: float) -> None:
    found = rates(name, final_frac=final) if final else rates_to_zero(name)
    assert found[-1] == pytest.approx(LR * final, abs=1e-12)


def rates_to_zero(name: str) -> list[float]:
    return rates(name, final_frac=0.0)


def test_cosine_and_linear_by_hand() -> None:
    steps = 5 * UPDATES
    for name, shape in (
        ("cosine", lambda share: (1 + math.cos(math.pi * share)) / 2),
        ("linear", lambda share: 1 - share),
    ):
        found = rates(name, final_frac=0.1, warmup_epochs=1)[UPDATES:]
        expected = [0.1 * LR + 0.9 * LR * shape(step / steps) for step in range(steps + 1)]
        assert found == pytest.approx(expected)


def test_step_falls_by_its_factor() -> None:
    found = rates("step", every_epochs=2, factor=0.5, warmup_epochs=1)
    assert found[UPDATES : 3 * UPDATES] == pytest.approx([LR] * 2 * UPDATES)
    assert found[3 * UPDATES : 5 * UPDATES] == pytest.approx([LR / 2] * 2 * UPDATES)
    assert rates("step", factor=1.0, warmup_epochs=0) == pytest.approx([LR] * (6 * UPDATES + 1))


@every_schedule
def test_warm_up_as_long_as_the_run_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"schedule.warmup_epochs must be less than epochs, found 3 of 3"):
        validate(TrainingSettings, {"epochs": 3, "schedule": {"name": name, "warmup_epochs": 3}})


def test_unknown_optimiser_is_refused_with_near_names() -> None:
    with pytest.raises(UserError, match=r"^name: timm has no optimiser 'adamww'; did you mean .*'adamw'"):
        validate(OptimizerSettings, {"name": "adamww"})


@pytest.mark.parametrize("key", ["lr", "weight_decay"])
def test_options_that_are_set_elsewhere_are_refused(key: str) -> None:
    with pytest.raises(UserError, match=rf"^options: cannot set '{key}'; set training\."):
        validate(OptimizerSettings, {"options": {key: 0.1}})


def test_option_that_the_optimiser_does_not_take_is_refused() -> None:
    with pytest.raises(UserError, match=r"^training.optimizer: sgd cannot be built: .*bettas"):
        OptimizerSettings(name="sgd", options={"bettas": 1}).build([{"params": [nn.Parameter(torch.zeros(1))]}], LR)


@pytest.mark.parametrize("name", ["adamw", "sgd", "lamb", "lion", "adan", "rmsprop"])
def test_optimisers_honour_options_decay_and_scale(name: str) -> None:
    parameter, other = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    groups = [{"params": [parameter], "weight_decay": 0.1, "lr_scale": 0.5}, {"params": [other], "weight_decay": 0.0}]
    optimizer = OptimizerSettings(name=name, options={"eps": 1e-6} if name == "adamw" else {}).build(groups, LR)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
    if name == "adamw":
        assert optimizer.param_groups[0]["eps"] == 1e-6
    (parameter.square().sum() + other.sum()).backward()
    optimizer.step()
    assert torch.isfinite(parameter).all()
    assert not torch.equal(parameter, torch.ones(2, 2))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"betas": [0.9]}, r"cannot (be built|make a step): "),
        ({"betas": "fast"}, r"cannot (be built|make a step): "),
        ({"eps": "small"}, r"cannot (be built|make a step): "),
        ({"betas": [0.9, 7.0]}, r"cannot be built: "),
        ({"capturable": True}, r"cannot make a step: "),
        ({"nonesuch": 1}, r"cannot be built: .*nonesuch"),
    ],
)
def test_options_that_the_optimiser_refuses_now_or_at_its_first_step_are_one_line(
    options: dict[str, object], line: str
) -> None:
    settings = validate(OptimizerSettings, {"options": options})
    before = torch.get_rng_state()
    with pytest.raises(UserError, match=f"^training.optimizer: adamw {line}") as caught:
        settings.build([{"params": [torch.nn.Parameter(torch.ones(2, 2))]}], 1e-3)
    assert "\n" not in str(caught.value)
    assert torch.equal(torch.get_rng_state(), before)
