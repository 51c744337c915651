"""The work of the stages: runs that pick and runs that are judged, and the config as it stands."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from multitask.bakeoff.comparison import known_score
from multitask.bakeoff.plan import Contender, digest_of
from multitask.bakeoff.runs import BakeoffRun, Course, Ticking
from multitask.config import Config
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.report_schema import RunReport
from multitask.evaluation.views import Views, report_name
from multitask.progress import StudyProgress, SweepStatus
from multitask.recipe.budget import Clock
from multitask.recipe.costs import Costs
from multitask.recipe.folder import RecipeFolder
from multitask.recipe.progress import FoldProgress, Passing, Timed
from multitask.recipe.settings import Plan
from multitask.recipe.stage import of_length
from multitask.reporting.recipe.report_schema import Tried
from multitask.runs.config import TrainedRun, load_run_config
from multitask.runs.evaluate import evaluate
from multitask.runs.folder import RunFolder
from multitask.settings import Changes
from multitask.utils.seeds import derive


@dataclass(frozen=True)
class Candidate:
    """What a stage tries: a name, and what it changes of the config as it stands."""

    name: str
    changes: Changes


class Lab:
    """The work of a recipe's stages.

    Args:
        plan: the recipe, made out.
        folder: the recipe's.
        clock: its.
        progress: notified of every run.

    Attributes:
        costs: of what it does.
        config: as it stands: the base with what was kept so far.
        epochs: of a judged run; set by the baseline's plan.
        standing: the configs of the judged runs of how things stand; empty before the baseline.
        answers: of how things stand on the judged groups, a pass each; likewise.
        views: by which they were answered; None: each image as it is.
        in_folds: the run in folds for use; None: there is none yet.
        keeps_networks: whether judged runs keep theirs, since a stage has them answer more.
    """

    def __init__(self, plan: Plan, folder: RecipeFolder, clock: Clock, progress: StudyProgress) -> None:
        self.plan, self.settings, self.base = plan, plan.settings, plan.base
        self.folder, self.clock, self.costs = folder, clock, Costs(clock)
        self.inner = Passing(progress, clock)
        self.progress = Timed(progress, clock)
        self.config = plan.base
        self.epochs = 0
        self.standing: Sequence[Config] = ()
        self.answers: Sequence[Predictions] = ()
        self.views: Views | None = None
        self.in_folds: RunFolder | None = None
        self.keeps_networks = any(stage.asks_networks for stage in plan.settings.stages)

    # --- configs ----------------------------------------------------------------------------------------------------

    @property
    def num_judged_runs(self) -> int:
        """The runs of one judged config."""
        return self.settings.judges.folds * self.settings.judges.seeds

    def split_seed(self) -> int:
        """That deals the groups, alike in all runs: as the base's own run would have them."""
        return self.base.seed if self.base.data.split_seed is None else self.base.data.split_seed

    def judged_config(self, config: Config, index: int, epochs: int | None = None) -> Config:
        """The config of judged run ``index``, of which fold ``index`` mod the number of folds tests.

        Raises:
            UserError: folds do not go with its other settings, or there are fewer groups than folds.
        """
        judges = self.settings.judges
        config = of_length(config, self.epochs_of(config) if epochs is None else epochs)
        return config.with_changes(
            {
                "seed": derive(self.settings.seed, "judged", index),
                "data.split_seed": self.split_seed(),
                "data.test_folds": judges.folds,
                "data.test_fold": index % judges.folds,
            }
        )

    def judged_configs(self, config: Config) -> list[Config]:
        """Those of all judged runs: the folds of the first seed, then of the next."""
        return [self.judged_config(config, index) for index in range(self.num_judged_runs)]

    def epochs_of(self, config: Config) -> int:
        """Of a judged run of a config: in the proportion in which those of the base were shortened."""
        return max(1, round(config.training.epochs * self.epochs / self.base.training.epochs))

    def judged_seconds(self, config: Config) -> float:
        """What judging a config is reckoned to take."""
        return self.costs.seconds(self.judged_config(config, 0), self.num_judged_runs)

    # --- runs -------------------------------------------------------------------------------------------------------

    def pick(self, stage: str, candidates: Sequence[Candidate], epochs: int) -> list[Tried]:
        """Tries candidates on the groups that pick: trained on those that judge, whose scores nobody looks at.

        Args:
            stage: whose they are.
            candidates: what each changes of the config as it stands.
            epochs: of each run.

        Returns:
            The score of each; None where its loss was no number any more.
        """
        runs = [
            self._run(one, of_length(self.config.with_changes(one.changes), epochs), index)
            for index, one in enumerate(candidates)
        ]
        tried = []
        course = self._course(stage, len(runs))
        for one, run in zip(candidates, runs, strict=True):
            self._do(course, run)
            score = None if run.failure() else known_score(run.folder.read_report(), self.settings.metric)
            shutil.rmtree(run.folder.checkpoints, ignore_errors=True)
            tried.append(Tried(one.name, one.changes, score))
        return tried

    def judge(self, stage: str, configs: Sequence[Config]) -> list[Predictions] | None:
        """The answers to the groups that judge, each by a network that never saw it.

        Args:
            stage: whose they are.
            configs: of the judged runs, as of ``judged_configs``.

        Returns:
            A pass each; None where a run's loss was no number any more.
        """
        runs = [self._run(Candidate(f"judged run {place + 1}", {}), one, place) for place, one in enumerate(configs)]
        if not all(map(_is_judged, runs)):
            course = self._course(stage, len(runs))
            for run in runs:
                self._do(course, run)
                if run.failure():
                    return None
                if not _is_judged(run):
                    evaluate(TrainedRun(run.folder, run.config), "test", Ticking(self.inner))
                if not self.keeps_networks:
                    shutil.rmtree(run.folder.checkpoints, ignore_errors=True)
        return self._passes([TrainedRun(run.folder, run.config) for run in runs])

    def answer(self, stage: str, views: Views, split: str) -> list[RunReport]:
        """Has the networks of the judged runs answer a split by several views of each image, unless they have before.

        Args:
            stage: whose work it is.
            views: of each image.
            split: ``val``, those who pick, or ``test``, those who judge.

        Returns:
            The report of each run.

        Raises:
            BudgetSpentError: there is no time left.
        """
        shown = SweepStatus(
            f"{self.settings.name}, {stage}", (self.settings.metric,), len(self.standing), phase="judging"
        )
        self.inner.begin(shown)
        name, reports = report_name(split, views), []
        for run in self.judged_runs():
            if not run.folder.report(name).is_file():
                self.progress.check()
                evaluate(run, split, Ticking(self.inner), views)
            reports.append(run.folder.read_report(name))
            shown.finished += 1
            self.inner.tick()
        return reports

    def viewed(self, views: Views) -> list[Predictions]:
        """The answers to the groups that judge by several views, as of ``answer``; a pass each."""
        return self._passes(self.judged_runs(), views)

    def _passes(self, runs: Sequence[TrainedRun], views: Views | None = None) -> list[Predictions]:
        size = self.settings.judges.folds
        parts = [_read_test(run, views) for run in runs]
        return [Predictions.concatenate(parts[start : start + size]) for start in range(0, len(parts), size)]

    def place_of(self, config: Config) -> str:
        """The folder of a run that was compared, within the recipe's."""
        return str(self.folder.run(digest_of(config, decode=True)).path.relative_to(self.folder.path))

    def judged_run(self, index: int) -> TrainedRun:
        """One of the judged runs of how things stand."""
        config = self.standing[index]
        return TrainedRun(self.folder.run(digest_of(config, decode=True)), config)

    def judged_runs(self) -> list[TrainedRun]:
        """All of them, as of ``judged_configs``."""
        return [self.judged_run(index) for index in range(len(self.standing))]

    def in_folds_config(self) -> tuple[Config, int]:
        """The config of the run in folds for use, which there must be, and how many they are."""
        assert self.in_folds is not None, "as was planned"
        num_folds = self.in_folds.num_folds
        assert num_folds is not None, "it is in folds"
        return load_run_config(self.in_folds), num_folds

    def shown(self, stage: str, num_runs: int, epochs: int) -> FoldProgress:
        """The progress of the runs for use of a stage, so many and of so many epochs."""
        return FoldProgress(self.progress, f"{self.settings.name}, {stage}", self.settings.metric, num_runs, epochs)

    def _run(self, candidate: Candidate, config: Config, index: int) -> BakeoffRun:
        folder = self.folder.run(digest_of(config, decode=True))
        contender = Contender(candidate.name, Path(self.settings.base), candidate.changes, candidate.changes)
        return BakeoffRun(contender, candidate.name, config, folder, "all", index)

    def _course(self, stage: str, num_runs: int) -> Course:
        # Checkpoints stay until the images that judge are answered.
        return Course(self.folder.reuse, self.progress, self._view(stage, num_runs), keep_checkpoints=True)

    def _view(self, stage: str, num_runs: int) -> SweepStatus:
        view = SweepStatus(f"{self.settings.name}, {stage}", (self.settings.metric,), num_runs, phase="judging")
        self.inner.begin(view)
        return view

    def _do(self, course: Course, run: BakeoffRun) -> None:
        done, resumed = run.is_done(), bool(run.folder.read_history())
        if not done:
            self.progress.check()
        began, worked_s = time.monotonic(), self.clock.worked_s
        with self.costs.preparing(run.config):
            course.do(run, self._in_words)
        if not done and run.failure() is None:
            epochs = [row.seconds or 0.0 for row in run.folder.read_history()]
            self.clock.trained(math.fsum(epochs), len(epochs) * self.costs.num_served(run.config))
            if not resumed:
                # What it does before and after, which is most of a run on kept features, but not what others share.
                here_s = time.monotonic() - began - (self.clock.worked_s - worked_s)
                self.clock.ran(here_s - self.costs.epoch_seconds(run.config, len(epochs)))

    def _in_words(self, report: RunReport) -> str:
        score = known_score(report, self.settings.metric)
        found = "unknown" if score is None else f"{score:.4g}"
        return f"{self.settings.metric} {found} on the groups that pick"


def _is_judged(run: BakeoffRun) -> bool:
    return run.is_done() and run.folder.report("test").is_file()


def _read_test(run: TrainedRun, views: Views | None) -> Predictions:
    folder, config = run
    path = folder.predictions(report_name("test", views))
    answers = Predictions.from_csv(path, config.space(), config.learned_space())
    return of_target(config, answers)


def of_target(config: Config, answers: Predictions) -> Predictions:
    """Answers by the names that images and groups have in the target of several sources, as of a run on it alone."""
    images, groups = (
        np.array(config.data.source.own_names(words.tolist()), dtype=object)
        for words in (answers.images, answers.groups)
    )
    return replace(answers, images=images, groups=groups)
