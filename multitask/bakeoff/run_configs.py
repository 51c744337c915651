"""The config of every run of a bake-off, which the budget tells how long to train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multitask.bakeoff.plan import Contender, Plan
from multitask.config import Config
from multitask.errors import UserError
from multitask.runs.data_module import DataModule


class RunConfigs:
    """The configs of a plan's runs.

    Args:
        plan: the file, made out.

    Attributes:
        speeds: by contender, the training images per second; of a budget of seconds they must be there before its
            configs are.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.speeds: dict[str, float] = {}
        self._data_modules: dict[str, DataModule] = {}

    def of(self, contender: Contender, tuned: Mapping[str, Any], place: Mapping[str, Any]) -> Config:
        """The config of a run, with the epochs that the budget gives it.

        Args:
            contender: whose run it is.
            tuned: the values of the tuned settings.
            place: the settings common to all contenders.

        Raises:
            UserError: the config is refused, its data cannot be had, or the budget is less than an epoch.
        """
        budget = self.plan.settings.budget
        config = self.plan.config(contender, tuned, place)
        if budget is None:
            return config
        num_images = self.data(config).num_served
        if budget.images is not None:
            epochs = budget.images // num_images
            if not epochs:
                raise UserError(
                    f"budget.images: {budget.images:,} is less than one epoch, which has {num_images:,} images"
                )
        else:
            assert budget.seconds is not None
            epochs = max(1, int(budget.seconds * self.speeds[contender.name] / num_images))
        return self.plan.config(contender, tuned, {**place, "training.epochs": epochs})

    def data(self, config: Config) -> DataModule:
        """Samples and split; the same for all configs that say the same of them."""
        seed = config.seed if config.data.split_seed is None else config.data.split_seed
        key = f"{config.data.model_dump_json()} {seed}"
        if key not in self._data_modules:
            try:
                self._data_modules[key] = DataModule(config)
            except UserError as error:
                on_axis = self.plan.settings.axis is not None and str(error).startswith("data.train_groups")
                raise UserError(f"axis.groups: {error}" if on_axis else str(error)) from None
        return self._data_modules[key]
