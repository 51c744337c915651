"""The baseline: the config as it stands, on the groups that judge; all else is compared with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from multitask.config import Config
from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan, StageSettings
from multitask.reporting.study.text import time_text
from multitask.settings import Epochs, Float

if TYPE_CHECKING:
    from multitask.recipe.lab import Lab


class BaselineSettings(StageSettings):
    """The config as given. It also sets how long all judged runs are, so that they compare."""

    name: Literal["baseline"] = "baseline"
    title: ClassVar[str] = "Baseline"
    judged: ClassVar[bool] = False
    epochs: Epochs | None = None
    """Of a judged run of the base, in place of as many of its own as ``share`` holds; at most its own."""
    share: Annotated[Float, Field(gt=0, le=1)] = 0.125
    """Of the budget, that the baseline takes at most; its runs are the shorter for it."""

    def check(self, base: Config) -> None:
        """More epochs than the base has would be another config."""
        if self.epochs is not None and self.epochs > base.training.epochs:
            raise ValueError(f"epochs: must be at most training.epochs ({base.training.epochs}), found {self.epochs}")

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        """As many epochs as its share of the budget holds, at least one, at most the config's own."""

        def seconds(epochs: int) -> float:
            return lab.costs.seconds(lab.judged_config(lab.base, 0, epochs), lab.num_judged_runs)

        first_s = seconds(1)
        if first_s > left_s:
            raise CannotHoldError(
                f"one epoch of each of its {lab.num_judged_runs} runs takes about {time_text(first_s)} here, and "
                f"there are {time_text(left_s)} to plan with"
            )
        share_s = min(self.share * lab.clock.budget_s, left_s)
        more = int((share_s - first_s) / (seconds(2) - first_s))  # a run's own seconds and its test are in the first
        epochs = self.epochs or max(1, min(lab.base.training.epochs, 1 + more))
        if seconds(epochs) > left_s:
            raise CannotHoldError(f"its {epochs} epochs take about {time_text(seconds(epochs))} here; leave them out")
        return StagePlan(seconds(epochs), epochs)

    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        """Nothing is changed: the config is judged as it stands."""
        return Proposal({})
