"""Checks of a bake-off's contenders, before anything is written and any network trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from multitask.bakeoff.plan import Contender, Plan
from multitask.bakeoff.run_configs import RunConfigs
from multitask.errors import UserError
from multitask.runs.build import build_network, build_trainer
from multitask.runs.data_module import DataModule


def check_contenders(plan: Plan, configs: RunConfigs) -> None:
    """Checks every run: that it can be built, is long enough, and is scored on the same groups as the others.

    Raises:
        UserError: something is wrong; the line names the contender.
    """
    _build(plan, configs)
    settings = plan.settings
    seconds = settings.budget is not None and settings.budget.seconds is not None
    for tuned in plan.combinations:
        for contender in plan.contenders:
            places = [plan.place(point, index) for point in settings.points for index in range(len(settings.seeds))]
            for place in places + ([plan.tuning_place()] if settings.tune else []):
                config = plan.config(contender, tuned, place)
                if not seconds:
                    configs.of(contender, tuned, place)
                _check_groups(plan, configs, contender, configs.data(config), place)


def _build(plan: Plan, configs: RunConfigs) -> None:
    """Builds every contender once, with losses, balancer and optimiser: what only that shows fails here."""
    device = torch.device("cpu")
    for contender in plan.contenders:
        config = plan.config(contender, plan.combinations[0], plan.first_place())
        # No contender's doing, as the data is.
        configs.data(config).dataset.check_scored(plan.settings.metric, "metric")
        try:
            build_trainer(config, DataModule(config), build_network(config, device, pretrained=False), 1)
        except UserError as error:
            raise UserError(f"contenders.{contender.name}: {error}") from None


def _check_groups(
    plan: Plan, configs: RunConfigs, contender: Contender, data: DataModule, place: Mapping[str, Any]
) -> None:
    first = plan.contenders[0]
    other = configs.data(plan.config(first, {}, place))
    ours, theirs = (found.samples.take(found.split.val) for found in (data, other))
    if not np.array_equal(ours.images, theirs.images) or not np.array_equal(ours.labels, theirs.labels):
        raise UserError(f"contenders.{contender.name}: would be scored on other groups than {first.name}")
