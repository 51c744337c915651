"""The ensemble: networks that differ by their seeds, answering together."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, ClassVar, Literal

from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan, StageSettings
from multitask.reporting.study.text import time_text
from multitask.utils.spelling import plural

if TYPE_CHECKING:
    from multitask.recipe.lab import Lab


class EnsembleStageSettings(StageSettings):
    """As many networks as the judges have seeds, as of ``multitask ensemble``, against each of them alone.

    The judged runs of all seeds are there already, so that judging costs nothing. Where it is kept, the run in folds is
    trained with as many seeds, and these are made one.
    """

    name: Literal["ensemble"] = "ensemble"
    title: ClassVar[str] = "Ensemble"
    changes_config: ClassVar[bool] = False
    requires: ClassVar[str] = "folds"
    trains: ClassVar[bool] = False
    ends_judging: ClassVar[bool] = True
    least_seeds: ClassVar[int] = 2
    weighting: Literal["fitted", "equal"] = "fitted"
    """Of the networks, for each head: by log-loss on the groups that pick, for use on all that no fold trained on; or
    equal."""

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        """Training the run in folds with the other seeds, which is for use alone."""
        if lab.in_folds is None:
            raise CannotHoldError("there is no run in folds, of which it would be made")
        config, num_folds = lab.in_folds_config()
        one = config.with_changes({"data.folds": num_folds})
        more = lab.settings.judges.seeds - 1
        seconds = lab.costs.seconds(one, more * num_folds)
        if lab.views is not None:
            seconds += lab.costs.answering_seconds(one, (more + 1) * num_folds, val=lab.views.num_answers)
        if seconds > left_s:
            raise CannotHoldError(
                f"{plural(more, 'more run', 'more runs')} in {num_folds} folds, should it be kept, "
                f"{'takes' if more == 1 else 'take'} about {time_text(seconds)}"
            )
        return StagePlan(seconds, config.training.epochs)

    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        """The judged runs of each fold, made one: a single pass in place of one for each seed."""
        from multitask.evaluation.predictions import Predictions
        from multitask.recipe.lab import of_target
        from multitask.recipe.pooling import pooled_answers

        folds, seeds = lab.settings.judges.folds, lab.settings.judges.seeds
        parts = []
        for fold in range(folds):
            runs = [lab.judged_run(seed * folds + fold) for seed in range(seeds)]
            parts.append(of_target(runs[0].config, pooled_answers(runs, self.weighting, lab.views)))
        note = f"{seeds} networks of each fold together, against each of them alone."
        return Proposal({}, (), note, answers=[Predictions.concatenate(parts)])

    def leave(self, lab: Lab, plan: StagePlan) -> tuple[dict[str, str], str]:
        """The run in folds with each seed, as one."""
        from multitask.recipe.for_use import answer_by_views, run_in_folds
        from multitask.runs.config import read_run
        from multitask.runs.ensemble import make_ensemble
        from multitask.runs.page import write_page
        from multitask.utils.seeds import derive

        assert lab.in_folds is not None, "as was planned"
        config, num_folds = lab.in_folds_config()
        more = lab.settings.judges.seeds - 1
        shown = lab.shown(self.name, more * num_folds, plan.epochs)
        paths = [lab.in_folds.path]
        for number in range(2, more + 2):
            own = config.with_changes({"seed": derive(lab.settings.seed, "ensemble", number)})
            place = lab.folder.stage(self.name) / f"folds-{number}"
            run_in_folds(lab, place, own, num_folds, shown)
            paths.append(place)
        out = lab.folder.path / self.name
        shutil.rmtree(out, ignore_errors=True)  # of a launch that was killed in the midst, or with less budget
        make_ensemble(paths, out, weighting=self.weighting, allow_extensions=True)  # which the recipe was allowed
        write_page(read_run(out, allow_extensions=True), "val")
        files: dict[str, str] = {"run": self.name}
        note = f"For use {more + 1} runs in {num_folds} folds are made one."
        if lab.views is None:
            return files, note
        report, line = answer_by_views(lab, out)
        return {**files, "report": report}, f"{note} Then: `{line}`."
