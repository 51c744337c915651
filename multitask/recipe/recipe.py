"""A recipe from its file to its report: stage after stage, each kept only where the judges say so."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

from multitask.bakeoff.runs import Ticking
from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.views import Views
from multitask.progress import StudyProgress
from multitask.recipe.begun import Begun
from multitask.recipe.budget import BudgetSpentError, Clock
from multitask.recipe.folder import RecipeFolder
from multitask.recipe.lab import Lab
from multitask.recipe.report import best_yaml, summarise_recipe, write_recipe_report
from multitask.recipe.settings import Plan
from multitask.recipe.speed import seconds_per_image
from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan, StageSettings
from multitask.recipe.verdicts import Judges
from multitask.reporting.recipe.report_schema import Judged, RecipeReport, StageReport, State
from multitask.reporting.recipe.text import stage_sentence
from multitask.reporting.study.text import time_text
from multitask.runs.config import load_run_config
from multitask.runs.data_module import DataModule
from multitask.runs.folder import RunFolder
from multitask.utils.files import write_atomically
from multitask.utils.records import read_record, record_to_json

_PLANNED = 0.85
"""Of the seconds that a stage may take, those that it is planned with, since what it takes is an estimate."""


def run_recipe(plan: Plan, folder: RecipeFolder, progress: StudyProgress) -> RecipeReport:
    """Performs a recipe, or resumes it, and writes its report and ``best.yaml``.

    Args:
        plan: the recipe, made out.
        folder: the recipe's.
        progress: notified of everything.

    Returns:
        What ``report.json`` holds.

    Raises:
        UserError: the data, a config or the folder are not as they must be; the budget does not hold one epoch of the
            baseline; a run fails.
        KeyboardInterrupt: it was interrupted; everything is saved.
    """
    folder.claim()
    recipe = _Recipe(plan, folder, progress)
    recipe.check()
    with folder.locked():
        return recipe.run()


class _Recipe:
    """The course of a recipe."""

    def __init__(self, plan: Plan, folder: RecipeFolder, progress: StudyProgress) -> None:
        self.plan, self.settings, self.folder, self.progress = plan, plan.settings, folder, progress
        self.clock = Clock(folder.clock, plan.budget_s)
        self.lab = Lab(plan, folder, self.clock, progress)
        self.judges = Judges(self.settings.metric, self.settings.seed, self.settings.level)
        self.reports: list[StageReport] = []

    # --- before anything is written ---------------------------------------------------------------------------------

    def check(self) -> None:
        """Everything that can be wrong without a network being trained.

        Raises:
            UserError: something is.
        """
        data = DataModule(self.plan.base)
        data.dataset.check_scored(
            self.settings.metric, "metric", hint="; `metric` stands in a recipe file, beside `base`"
        )
        self.num_pick_groups = data.dataset.num_scored_groups(self.settings.metric)
        for index in range(self.settings.judges.folds):
            try:
                DataModule(self.lab.judged_config(self.plan.base, index, epochs=1))
            except UserError as error:
                raise UserError(f"judges.folds: {error}") from None
        for stage in self.settings.stages:
            try:
                stage.check_files(self.plan.base)
            except UserError as error:
                raise UserError(f"stages.{stage.name}.{error}") from None
        self.begun = Begun(self.plan, self.folder, data.facts().fingerprint or "")

    # --- the work ---------------------------------------------------------------------------------------------------

    def run(self) -> RecipeReport:
        """All stages, then the report."""
        if self.begun.longer:
            self._reopen()
        if self.folder.exists():
            self._begin()
        for number, stage in enumerate(self.settings.stages):
            done = self.folder.stage_report(stage.name)
            if done.is_file():
                self._take(stage, read_record(done, StageReport))
                continue
            self.progress.say(f"stage {number + 1} of {len(self.settings.stages)}, {stage.name}")
            with self.clock.running(stage.name):
                report = self._perform(number, stage)
            report = replace(report, seconds=self.clock.of(stage.name))
            done.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(done, record_to_json(report))
            self.progress.say(report.sentence)
            self._take(stage, report)
            self._write_report()
        shutil.rmtree(self.folder.reuse, ignore_errors=True)
        self.clock.nothing_is_prepared()
        return self._write_report()

    def _reopen(self) -> None:
        """Forgets the first stage that a smaller budget did not hold, and all after it, so that they are done now.

        What they left in folders of their own is gone on with where it is still asked for.
        """
        reopens = False
        for stage in self.settings.stages:
            path = self.folder.stage_report(stage.name)
            there = path.is_file()
            reopens = reopens or not there or read_record(path, StageReport).state in ("skipped", "spent")
            if reopens and there:
                for file in (self.folder.plan(stage.name), *self.folder.answers(stage.name), path):
                    file.unlink(missing_ok=True)

    def _begin(self) -> None:
        self.begun.write()
        self.clock.keeps = True

    def _perform(self, number: int, stage: StageSettings) -> StageReport:
        """One stage: planned by the clock, performed, judged."""
        self.folder.reuse.mkdir(exist_ok=True)
        try:
            plan = self._planned(number, stage)
        except CannotHoldError as error:
            if not number:
                raise UserError(
                    f"--budget: {time_text(self.plan.budget_s)} cannot hold the {stage.name}: {error}"
                ) from None
            return self._report_of(stage, "skipped", Proposal({}, note=f"{str(error)[:1].upper()}{str(error)[1:]}."))
        if not number:
            self.lab.epochs = plan.epochs
        self.clock.allow(self.clock.budget_s - plan.others_s)
        try:
            proposal = stage.perform(self.lab, plan)
            return self._decide(stage, plan, proposal)
        except BudgetSpentError:
            if not number:
                raise UserError(
                    f"--budget: {time_text(self.plan.budget_s)} were spent before the {stage.name} was done; "
                    "the same line with more goes on with it"
                ) from None
            note = "The budget was spent in its midst."
            return self._report_of(stage, "spent", Proposal({}, note=note), plan)

    def _planned(self, number: int, stage: StageSettings) -> StagePlan:
        path = self.folder.plan(stage.name)
        if path.is_file():
            return read_record(path, StagePlan)
        lab = self.lab
        if self.clock.image_s is None:
            self.progress.say("measuring how fast this machine trains")
            first = lab.judged_config(lab.base, 0, epochs=lab.base.training.epochs)
            with lab.costs.preparing(first):
                self.clock.image_s = seconds_per_image(first, self.folder.reuse, Ticking(lab.inner))
        lab.epochs = lab.epochs or lab.base.training.epochs
        reserved = sum(later.reserve_s(lab) for later in self.settings.stages[number + 1 :]) if number else 0.0
        others_s = self.clock.spent_s - self.clock.of(stage.name) + reserved
        plan = replace(stage.plan(lab, _PLANNED * (self.clock.left_s - reserved)), others_s=others_s)
        if not number:
            self._begin()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, record_to_json(plan))
        return plan

    def _decide(self, stage: StageSettings, plan: StagePlan, proposal: Proposal) -> StageReport:
        """What the judges say of a proposal."""
        lab = self.lab
        if stage.name == "baseline":
            answers = lab.judge(stage.name, lab.judged_configs(lab.base))
            if answers is None:
                raise UserError(
                    f"{stage.name}: {self.settings.base}: a loss is no number any more, so nothing compares"
                )
            return self._report_of(stage, "done", proposal, plan, self.judges.of_one(answers))
        if not stage.judged:
            return self._report_of(stage, "done", proposal, plan)
        after = proposal.answers
        if after is None:
            runs = proposal.runs
            if runs is None and not proposal.changes:
                return self._report_of(stage, "not kept", proposal, plan)
            changed = lab.config.with_changes(proposal.changes)
            after = lab.judge(stage.name, lab.judged_configs(changed) if runs is None else runs)
        if after is None:
            failed = replace(proposal, note=f"{proposal.note} A loss was no number any more.".strip())
            return self._report_of(stage, "not kept", failed, plan)
        judged = self.judges.of_two(lab.answers, after)
        assert judged.gain is not None
        if not (judged.gain.beyond_noise and judged.gain.value > 0):
            return self._report_of(stage, "not kept", proposal, plan, judged)
        if proposal.answers is not None:
            self._write_answers(stage, after)
        lab.views = Views(proposal.views) if proposal.views else lab.views
        files, note = stage.leave(lab, plan)
        proposal = replace(proposal, files={**proposal.files, **files}, note=f"{proposal.note} {note}".strip())
        return self._report_of(stage, "kept", proposal, plan, judged)

    def _report_of(
        self,
        stage: StageSettings,
        state: State,
        proposal: Proposal,
        plan: StagePlan | None = None,
        judged: Judged | None = None,
    ) -> StageReport:
        found = StageReport(
            name=stage.name,
            title=stage.title,
            state=state,
            sentence="",
            note=proposal.note,
            tried=tuple(proposal.tried),
            changes=proposal.changes,
            judged=judged,
            epochs=0 if plan is None else plan.epochs,
            estimate_s=None if plan is None else plan.seconds,
            seconds=0.0,
            files=proposal.files,
            runs=tuple(map(self.lab.place_of, proposal.runs or ())),
            views=proposal.views,
        )
        return replace(found, sentence=stage_sentence(found, self.settings.metric))

    # --- what was kept ----------------------------------------------------------------------------------------------

    def _take(self, stage: StageSettings, report: StageReport) -> None:
        """Goes on from a stage that is done: the config, and the answers that the next is compared with."""
        self.reports.append(report)
        lab = self.lab
        if stage.name == "baseline":
            lab.epochs = read_record(self.folder.plan(stage.name), StagePlan).epochs
            self._stand(stage, lab.judged_configs(lab.config))
            self.first = lab.answers
        elif report.state == "kept":
            lab.config = lab.config.with_changes(report.changes)
            lab.views = Views(report.views) if report.views else lab.views
            if answers := self._read_answers(stage):
                lab.answers = answers
            else:
                runs = [load_run_config(RunFolder(self.folder.path / place)) for place in report.runs]
                self._stand(stage, runs or lab.judged_configs(lab.config))
        if stage.in_folds and "run" in report.files:
            lab.in_folds = RunFolder(self.folder.path / report.files["run"])

    def _stand(self, stage: StageSettings, runs: Sequence[Config]) -> None:
        """How things stand from here on, by the configs of the judged runs."""
        answers = self.lab.judge(stage.name, runs)
        assert answers is not None, "it was judged before"
        self.lab.standing, self.lab.answers = runs, answers

    def _write_answers(self, stage: StageSettings, answers: Sequence[Predictions]) -> None:
        for number, one in enumerate(answers):
            write_atomically(self.folder.stage(stage.name) / f"answers-{number}.csv", one.to_csv())

    def _read_answers(self, stage: StageSettings) -> Sequence[Predictions]:
        config = self.lab.config
        return [
            Predictions.from_csv(path, config.space(), config.learned_space())
            for path in self.folder.answers(stage.name)
        ]

    def _write_report(self) -> RecipeReport:
        report = summarise_recipe(
            self.plan, self.begun.created, self.reports, self.lab, self.num_pick_groups, self.judges, self.first
        )
        write_atomically(self.folder.best, best_yaml(report, self.lab.config))
        return write_recipe_report(self.folder, report)
