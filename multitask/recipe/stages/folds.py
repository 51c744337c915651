"""Folds: the config that won, in folds of all groups with all its epochs: a run for use."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from multitask.config import Config
from multitask.data.settings import DataSettings
from multitask.errors import UserError
from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan, StageSettings, of_length
from multitask.reporting.study.text import time_text
from multitask.settings import Folds

if TYPE_CHECKING:
    from multitask.recipe.lab import Lab


class FoldsStageSettings(StageSettings):
    """A run in folds, as of ``multitask train --folds``: new images are answered by all its networks together."""

    name: Literal["folds"] = "folds"
    title: ClassVar[str] = "Folds"
    judged: ClassVar[bool] = False
    changes_config: ClassVar[bool] = False
    in_folds: ClassVar[bool] = True
    num: Folds = 5

    def check(self, base: Config) -> None:
        """Where the source says who validates, there are no folds of it."""
        if base.data.source.says_sides:
            raise ValueError(
                "data.source: says itself who validates, so that no folds can be made; leave the stage out"
            )

    def check_files(self, base: Config) -> None:
        """There are groups for so many folds."""
        from multitask.runs.data_module import DataModule

        try:
            DataModule(self._config(base).with_changes({"data.folds": self.num}))
        except UserError as error:
            raise UserError(f"num: {str(error).removeprefix('data.folds: ')}") from None

    def _config(self, config: Config) -> Config:
        usual = DataSettings.model_fields["val_fraction"].default
        return config.with_changes({"data.folds": None, "data.fold": 0, "data.val_fraction": usual})

    def _epoch_s(self, lab: Lab) -> float:
        one = of_length(self._config(lab.config), 1).with_changes({"data.folds": self.num})
        return lab.costs.seconds(one, self.num)

    def reserve_s(self, lab: Lab) -> float:
        """All its epochs, but no more than half of the budget."""
        return min(self._epoch_s(lab) * lab.config.training.epochs, lab.clock.budget_s / 2)

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        """All epochs of the config, or as many as the seconds hold."""
        epoch_s, wanted = self._epoch_s(lab), lab.config.training.epochs
        if epoch_s > left_s:
            raise CannotHoldError(f"one epoch of its {self.num} folds takes about {time_text(epoch_s)}")
        epochs = min(wanted, int(left_s / epoch_s))
        return StagePlan(epochs * epoch_s, epochs)

    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        """The run in folds."""
        from multitask.bakeoff.comparison import known_score
        from multitask.recipe.for_use import run_in_folds
        from multitask.reporting.bakeoff.text import metric_text
        from multitask.reporting.text import score_text

        config = of_length(self._config(lab.config), plan.epochs)
        shown = lab.shown(self.name, self.num, plan.epochs)
        report = run_in_folds(lab, lab.folder.path / self.name, config, self.num, shown)
        wanted, metric = lab.config.training.epochs, lab.settings.metric
        score = f"{metric_text(metric)} {score_text(known_score(report, metric))}"
        note = f"All {report.num_groups:,} groups: {score}{picked_by_the_scored(config)}."
        if plan.epochs < wanted:
            note += f" The budget held {plan.epochs} of {wanted} epochs."
        return Proposal({}, (), note, files={"run": self.name})


def picked_by_the_scored(config: Config) -> str:
    """Whether those who are scored picked what is scored."""
    if not config.training.keep_rule.asks or config.data.pick_fraction > 0:
        return ""
    return ", which picked their fold's epochs: the judges' score is the honest one"
