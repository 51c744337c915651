from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.bakeoff.plan import load_bakeoff
from multitask.bakeoff.run_configs import RunConfigs
from multitask.errors import UserError

Make = Callable[..., Path]


def test_without_a_budget_the_epochs_are_the_configs(bakeoff_file: Make) -> None:
    plan = load_bakeoff(bakeoff_file({"training.epochs": 3}))
    assert RunConfigs(plan).of(plan.contenders[0], {}, plan.first_place()).training.epochs == 3


def test_a_budget_makes_whole_epochs(bakeoff_file: Make) -> None:
    plan = load_bakeoff(bakeoff_file(budget={"images": 100}))
    configs, (flat, shared) = RunConfigs(plan), plan.contenders
    config = configs.of(flat, {}, plan.first_place())
    num_images = len(configs.data(config).split.train)
    assert config.training.epochs == 100 // num_images > 1

    plan = load_bakeoff(bakeoff_file(budget={"seconds": 10.0}))
    configs = RunConfigs(plan)
    configs.speeds = {"flat": num_images / 2, "shared": 1.0}
    epochs = [configs.of(row, {}, plan.first_place()).training.epochs for row in (flat, shared)]
    assert epochs == [5, 1]  # less than one would be none


def test_a_budget_counts_the_images_that_the_sampler_serves(bakeoff_file: Make) -> None:
    sampled: dict[str, Any] = {"overrides": {"data.sampler": {"name": "per_group", "of": "group"}}}
    plan = load_bakeoff(bakeoff_file(budget={"images": 100}, contenders={"all": None, "sampled": sampled}))
    configs, (whole, few) = RunConfigs(plan), plan.contenders
    data = configs.data(plan.config(few, {}, plan.first_place()))
    num_groups = len(set(data.dataset.training_samples().groups))
    epochs = [configs.of(row, {}, plan.first_place()).training.epochs for row in (whole, few)]
    assert epochs == [100 // len(data.split.train), 100 // num_groups]
    assert epochs[1] > epochs[0]


def test_less_than_an_epoch_is_refused(bakeoff_file: Make) -> None:
    plan = load_bakeoff(bakeoff_file(budget={"images": 5}))
    with pytest.raises(UserError, match=r"^budget\.images: 5 is less than one epoch, which has \d+ images$"):
        RunConfigs(plan).of(plan.contenders[0], {}, plan.first_place())


def test_configs_of_the_same_data_share_it(bakeoff_file: Make) -> None:
    plan = load_bakeoff(bakeoff_file())
    configs = RunConfigs(plan)
    flat, shared = (configs.of(row, {}, plan.first_place()) for row in plan.contenders)
    other = configs.of(plan.contenders[0], {}, {**plan.first_place(), "data.split_seed": 5})
    assert configs.data(flat) is configs.data(shared)
    assert configs.data(flat) is not configs.data(other)
