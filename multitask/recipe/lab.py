"""The work of the stages: runs that pick and runs that are judged, their costs, and the config as it stands."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from multitask.bakeoff.comparison import known_score
from multitask.bakeoff.folder import BakeoffFolder
from multitask.bakeoff.plan import Contender, digest_of
from multitask.bakeoff.runs import BakeoffRun, Course, Ticking
from multitask.config import Config
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.report_schema import RunReport
from multitask.progress import RunningTrial, StudyProgress, SweepStatus
from multitask.recipe.budget import Clock
from multitask.recipe.folder import RecipeFolder
from multitask.recipe.settings import Plan
from multitask.reporting.recipe.report_schema import Tried
from multitask.runs.config import TrainedRun
from multitask.runs.data_module import DataModule
from multitask.runs.evaluate import evaluate
from multitask.settings import Changes
from multitask.utils.seeds import derive


@dataclass(frozen=True)
class Candidate:
    """What a stage tries: a name, and what it changes of the config as it stands."""

    name: str
    changes: Changes


class Timed(StudyProgress):
    """A progress that looks at the clock after every epoch; all else is passed on."""

    def __init__(self, inner: StudyProgress, clock: Clock) -> None:
        self._inner, self._clock = inner, clock

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """Passed on."""
        return self._inner.stage(name, total, unit)

    def begin(self, view: SweepStatus) -> None:
        """Passed on."""
        self._inner.begin(view)

    def tick(self) -> None:
        """Passed on."""
        self._inner.tick()

    def epoch(self, trial: RunningTrial) -> None:
        """Passed on.

        Raises:
            BudgetSpentError: no time is left.
        """
        self._inner.epoch(trial)
        self._clock.check()

    def ended(self, text: str, kind: str) -> None:
        """Passed on."""
        self._inner.ended(text, kind)

    def say(self, text: str) -> None:
        """Passed on."""
        self._inner.say(text)


class Lab:
    """The work of a recipe's stages.

    Args:
        plan: the recipe, made out.
        folder: the recipe's.
        clock: its.
        progress: notified of every run.

    Attributes:
        config: as it stands: the base with what was kept so far.
        epochs: of a judged run; set by the baseline's plan.
        answers: of the config as it stands on the judged groups, a pass each; empty before the baseline.
    """

    def __init__(self, plan: Plan, folder: RecipeFolder, clock: Clock, progress: StudyProgress) -> None:
        self.plan, self.settings, self.base = plan, plan.settings, plan.base
        self.folder, self.clock, self.inner = folder, clock, progress
        self.progress = Timed(progress, clock)
        self.config = plan.base
        self.epochs = 0
        self.answers: Sequence[Predictions] = ()
        self._sizes: dict[str, int] = {}

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
            UserError: so few epochs do not go with its other settings, or there are fewer groups than folds.
        """
        judges = self.settings.judges
        return config.with_changes(
            {
                "seed": derive(self.settings.seed, "judged", index),
                "data.split_seed": self.split_seed(),
                "data.test_folds": judges.folds,
                "data.test_fold": index % judges.folds,
                "training.epochs": self.epochs_of(config) if epochs is None else epochs,
            }
        )

    def epochs_of(self, config: Config) -> int:
        """Of a judged run of a config: in the proportion in which those of the base were shortened."""
        return max(1, round(config.training.epochs * self.epochs / self.base.training.epochs))

    # --- costs ------------------------------------------------------------------------------------------------------

    def num_images(self, config: Config) -> int:
        """Images that train in a run."""
        key = f"{config.data.model_dump_json()} {config.seed if config.data.split_seed is None else ''}"
        if key not in self._sizes:
            self._sizes[key] = len(DataModule(config).split.train)
        return self._sizes[key]

    def seconds(self, config: Config, num_runs: int = 1) -> float:
        """What runs of a config are reckoned to take, by the speed that was measured last."""
        assert self.clock.image_s is not None, "measured before any stage is planned"
        return self.clock.image_s * self.num_images(config) * config.training.epochs * num_runs

    def judged_seconds(self, config: Config) -> float:
        """What judging a config is reckoned to take."""
        return self.seconds(self.judged_config(config, 0), self.num_judged_runs)

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
            self._run(one, self.config.with_changes({**one.changes, "training.epochs": epochs}), index)
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

    def judge(self, stage: str, config: Config) -> list[Predictions] | None:
        """The answers of a config to the groups that judge, each by a network that never saw it.

        Args:
            stage: whose it is.
            config: with its own number of epochs, which is shortened as the base's was.

        Returns:
            A pass each; None where a run's loss was no number any more.
        """
        runs = [
            self._run(Candidate(f"judged run {index + 1}", {}), self.judged_config(config, index), index)
            for index in range(self.num_judged_runs)
        ]
        if not all(map(_is_judged, runs)):
            course = self._course(stage, len(runs))
            for run in runs:
                self._do(course, run)
                if run.failure():
                    return None
                if not _is_judged(run):
                    evaluate(TrainedRun(run.folder, run.config), "test", Ticking(self.inner))
                shutil.rmtree(run.folder.checkpoints, ignore_errors=True)
        size = self.settings.judges.folds
        parts = [_of_target(run.config, run.folder.predictions("test")) for run in runs]
        return [Predictions.concatenate(parts[start : start + size]) for start in range(0, len(parts), size)]

    def _run(self, candidate: Candidate, config: Config, index: int) -> BakeoffRun:
        folder = self.folder.run(digest_of(config, decode=True))
        contender = Contender(candidate.name, Path(self.settings.base), candidate.changes, candidate.changes)
        return BakeoffRun(contender, candidate.name, config, folder, "all", index)

    def _course(self, stage: str, num_runs: int) -> Course:
        view = SweepStatus(f"{self.settings.name}, {stage}", (self.settings.metric,), num_runs, phase="judging")
        self.inner.begin(view)
        # Checkpoints stay until the images that judge are answered.
        return Course(BakeoffFolder(self.folder.path), self.progress, view, keep_checkpoints=True)

    def _do(self, course: Course, run: BakeoffRun) -> None:
        fresh, began = not run.folder.exists(), time.monotonic()
        course.do(run, self._in_words)
        if fresh and run.failure() is None:
            took = time.monotonic() - began
            self.clock.image_s = took / (self.num_images(run.config) * run.config.training.epochs)
            self.clock.save()

    def _in_words(self, report: RunReport) -> str:
        score = known_score(report, self.settings.metric)
        found = "unknown" if score is None else f"{score:.4g}"
        return f"{self.settings.metric} {found} on the groups that pick"


def _is_judged(run: BakeoffRun) -> bool:
    return run.is_done() and run.folder.report("test").is_file()


def _of_target(config: Config, path: Path) -> Predictions:
    """The predictions in a table; of several sources' target its own names, as a run on it alone would have them."""
    answers = Predictions.from_csv(path, config.space(), config.learned_space())
    images, groups = (
        np.array(config.data.source.own_names(words.tolist()), dtype=object)
        for words in (answers.images, answers.groups)
    )
    return replace(answers, images=images, groups=groups)
