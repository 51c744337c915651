"""The contract of schedules."""

from __future__ import annotations

import math

import torch
from torch import nn

from multitask.model.encoder import ParameterGroup
from multitask.testing.expect import expect
from multitask.training import ScheduleSettings
from multitask.training.settings import OptimizerSettings

LR = 0.1
UPDATES = 5
"""Of an epoch."""


def rates(settings: ScheduleSettings, epochs: int = 6, scale: float = 1.0, begin: int = 0) -> list[float]:
    """The learning rate of every update of a run, and the one after the last.

    Args:
        settings: the schedule.
        epochs: of ``UPDATES`` updates each.
        scale: the share of the learning rate that the layer has, as ``layer_decay`` gives it.
        begin: the updates that were made before the run was resumed.
    """
    layer, other = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    groups: list[ParameterGroup] = [
        {"params": [layer], "weight_decay": 0.0, "lr_scale": scale},
        {"params": [other], "weight_decay": 0.0, "lr_scale": 1.0},
    ]
    optimizer = OptimizerSettings(name="sgd").build(groups, LR)
    schedule = settings.build(optimizer, LR, epochs, UPDATES)
    if begin:
        schedule.step_update(begin)
    found = [optimizer.param_groups[0]["lr"]]
    for update in range(begin + 1, epochs * UPDATES + 1):
        layer.grad = torch.ones(1)
        optimizer.step()
        schedule.step_update(update)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def _warmed(settings: ScheduleSettings, epochs: int) -> ScheduleSettings:
    return settings.model_copy(update={"warmup_epochs": epochs})


def _same(found: list[float], wanted: list[float]) -> bool:
    return len(found) == len(wanted) and all(map(math.isclose, found, wanted))


def warm_up_rises_in_a_line_from_a_hundredth(settings: ScheduleSettings) -> None:
    """To the learning rate, over ``warmup_epochs``; without any, it begins there."""
    for epochs in (0, 1, 3):
        found, top = rates(_warmed(settings, epochs)), epochs * UPDATES
        line = [LR / 100 + (LR - LR / 100) * update / max(top, 1) for update in range(top)]
        rule = f"rise in a line from a hundredth of the learning rate over {epochs} warmup_epochs"
        expect(_same(found[:top], line), settings, rule)
        expect(_same(found[top : top + 1], [LR]), settings, f"be at the learning rate after {epochs} warmup_epochs")


def learning_rate_is_above_0_and_never_above_the_highest(settings: ScheduleSettings) -> None:
    """At every update, also of the shortest runs."""
    for epochs, warmup in ((1, 0), (1, 1), (2, 1), (6, 0), (6, 3)):
        found = rates(_warmed(settings, warmup), epochs)[:-1]
        when = f"in a run of {epochs} epochs, {warmup} of them warm-up"
        inside = all(0 < rate <= LR * (1 + 1e-9) for rate in found)
        expect(inside, settings, f"give learning rates above 0 and at most the one that is set {when}")


def scale_of_a_layer_is_honoured(settings: ScheduleSettings) -> None:
    """At every update: ``lr_scale`` of the optimiser's groups, by which layers learn at rates of their own."""
    for warmup in (0, 2):
        full, scaled = (rates(_warmed(settings, warmup), scale=scale) for scale in (1.0, 0.25))
        rule = "honour the lr_scale of each of the optimiser's groups, as timm's schedulers do"
        expect(_same(scaled, [rate / 4 for rate in full]), settings, rule)


def resumed_run_goes_on_as_one_that_was_not_stopped(settings: ScheduleSettings) -> None:
    """The learning rate follows from the update's number alone."""
    whole = rates(settings)
    for epochs in (1, 4):
        resumed = rates(settings, begin=epochs * UPDATES)
        rule = f"give the learning rates that it would have given, where a run is resumed after {epochs} epochs"
        expect(_same(resumed, whole[epochs * UPDATES :]), settings, rule)


SCHEDULE_CHECKS = (
    warm_up_rises_in_a_line_from_a_hundredth,
    learning_rate_is_above_0_and_never_above_the_highest,
    scale_of_a_layer_is_honoured,
    resumed_run_goes_on_as_one_that_was_not_stopped,
)
"""What is checked of a schedule, each alone."""


def check_schedule(settings: ScheduleSettings) -> None:
    """The contract of schedules, whole, over one of them.

    >>> from multitask.training import SCHEDULES
    >>> check_schedule(SCHEDULES["cosine"]())

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
    """
    for check in SCHEDULE_CHECKS:
        check(settings)
