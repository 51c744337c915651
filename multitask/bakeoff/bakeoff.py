"""A bake-off from its file to its report: the only place where its parts meet."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from multitask.bakeoff.checks import check_contenders
from multitask.bakeoff.comparison import known_score
from multitask.bakeoff.costs import CostFile, inference_speed, training_memory, training_speed
from multitask.bakeoff.elsewhere import train_elsewhere
from multitask.bakeoff.folder import BakeoffFolder
from multitask.bakeoff.plan import Contender, Plan, digest_of
from multitask.bakeoff.report import draw_bakeoff, summarise_bakeoff
from multitask.bakeoff.run_configs import RunConfigs
from multitask.bakeoff.runs import BakeoffRun, Course, with_sources
from multitask.bakeoff.settings import Point
from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.report_schema import RunReport
from multitask.executors import ProcessesSettings
from multitask.labels import LabelSettings
from multitask.progress import StudyProgress, SweepStatus
from multitask.reporting.bakeoff.report_schema import BakeoffReport, TuningRun
from multitask.runs.build import TrainingSetup
from multitask.runs.data_module import DataModule
from multitask.runs.folder import RunFolder
from multitask.settings import Changes, validate
from multitask.settings.yaml_text import dump_yaml, read_yaml
from multitask.utils.files import json_digest, write_atomically
from multitask.utils.records import record_to_json

_ANYWHERE = ("seed", "data.fold", "data.train_groups", "training.epochs")
"""Keys on which neither memory nor speed depends."""
T = TypeVar("T")


def answering_digest(config: Config) -> str:
    """A digest of all settings that the speed of a network's answers depends on: of what is not training's alone."""
    network = config.model_dump(mode="json", include={"labels", "model", "heads", "joint", "device"})
    training = config.training
    return json_digest([network, config.data.image_size, training.batch_size, training.precision])


def run_bakeoff(plan: Plan, folder: BakeoffFolder, progress: StudyProgress) -> BakeoffReport:
    """Performs a bake-off, or resumes it, and writes its report.

    Args:
        plan: the file, made out.
        folder: the bake-off's.
        progress: notified of everything.

    Returns:
        What ``report.json`` holds.

    Raises:
        UserError: the data, a contender or the folder are not as they must be; a run fails.
        KeyboardInterrupt: it was interrupted; everything is saved.
    """
    plan.settings.executor.check()
    folder.claim()
    bakeoff = _Bakeoff(plan, folder, progress)
    bakeoff.check()
    with folder.locked():
        bakeoff.begin()
        return bakeoff.run()


class _Bakeoff:
    """The course of a bake-off: costs, chosen values, runs."""

    def __init__(self, plan: Plan, folder: BakeoffFolder, progress: StudyProgress) -> None:
        self.plan, self.settings, self.folder, self.progress = plan, plan.settings, folder, progress
        self.configs = RunConfigs(plan)
        self.chosen: dict[str, Changes] = {row.name: {} for row in plan.contenders}
        self.tuning: dict[str, tuple[TuningRun, ...]] = {}
        self.created = datetime.now(UTC).isoformat(timespec="seconds")

    # --- before anything is written ---------------------------------------------------------------------------------

    def check(self) -> None:
        """Everything that can be wrong without a network being trained.

        Raises:
            UserError: something is.
        """
        self.data = self.configs.data(self.plan.base).facts().fingerprint or ""
        self._check_same()
        check_contenders(self.plan, self.configs)

    def _check_same(self) -> None:
        """Checks that the folder's bake-off, if there is one, is this one, with perhaps other settings."""
        if not self.folder.exists():
            return
        content = read_yaml(self.folder.settings)
        where = self.folder.path
        try:
            name, data, created = content["bakeoff"]["name"], content["data"], content["created"]
            space = validate(LabelSettings, content["labels"]).space()
        except (KeyError, TypeError, UserError):
            raise UserError(f"{self.folder.settings}: is damaged, or of another version") from None
        if name != self.settings.name:
            raise UserError(f"{where}: holds the bake-off {name!r}, not {self.settings.name!r}; name another --out")
        if space != self.plan.space:
            raise UserError(f"{where}: its bake-off is of other tasks or classes; name another --out")
        if data != self.data:
            raise UserError(
                f"{self.plan.base.data.root or 'data.source'}: is not the data that the bake-off in {where} began with"
            )
        self.created = created

    # --- the work ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Writes what the bake-off is; before anything else, so that what has it is one."""
        content = {
            "created": self.created,
            "bakeoff": self.settings.model_dump(mode="json"),
            "labels": self.plan.base.labels.model_dump(mode="json"),
            "data": self.data,
        }
        write_atomically(self.folder.settings, dump_yaml(content))
        self.folder.reuse.mkdir(exist_ok=True)

    def run(self) -> BakeoffReport:
        """Costs, tuning, runs, report."""
        settings, plan = self.settings, self.plan
        costs = CostFile(self.folder.costs)
        firsts = {row.name: plan.config(row, {**plan.combinations[0]}, plan.first_place()) for row in plan.contenders}
        self._each("counting memory", firsts, costs, costs.memory, training_memory)
        if settings.budget is not None and settings.budget.seconds is not None:
            self.configs.speeds = self._each("measuring an epoch", firsts, costs, costs.speed, training_speed)
        for row in plan.contenders if settings.tune else ():
            # Before training: what a budget of seconds makes of the epochs may not go with the other settings.
            for tuned in plan.combinations:
                self.configs.of(row, tuned, plan.tuning_place())
        trials = self._tuning_runs()
        total = len(plan.contenders) * len(settings.points) * len(settings.seeds)
        view = SweepStatus(settings.name, (settings.metric,), len(trials) + total, phase="comparing")
        self.progress.begin(view)
        course = Course(self.folder.reuse, self.progress, view, settings.keep_checkpoints)
        self._perform(trials, course, view)
        self._choose(trials)
        runs = self._runs()
        self._perform(runs, course, view)
        chosen = {row.name: next(one.config for one in runs if one.contender is row) for row in plan.contenders}
        digests = {name: answering_digest(config) for name, config in chosen.items()}
        if any(digest not in costs.inference for digest in digests.values()):
            self.progress.say("measuring how fast each contender answers")
            distinct = {digest: chosen[name] for name, digest in digests.items()}
            setups = {
                digest: TrainingSetup(config, DataModule(config, self.folder.reuse))
                for digest, config in distinct.items()
            }
            costs.inference |= inference_speed(setups)
            costs.save()
        memory = self._each("counting memory", chosen, costs, costs.memory, training_memory)
        inference = {name: costs.inference[digest] for name, digest in digests.items()}
        written = summarise_bakeoff(plan, self.created, runs, self.tuning, self.chosen, memory, inference)
        shutil.rmtree(self.folder.reuse, ignore_errors=True)
        write_atomically(self.folder.report, record_to_json(written))
        return draw_bakeoff(self.folder)

    def _perform(self, runs: list[BakeoffRun], course: Course, view: SweepStatus) -> None:
        """Performs runs one after another, without those that the executor has trained before."""
        settings = self.settings
        trained: list[BakeoffRun] = []
        if not isinstance(settings.executor, ProcessesSettings):
            trained = [one for one in runs if one.source is None and not one.is_done()]
            tell = partial(course.tell, in_words=self._in_words)
            train_elsewhere(settings, trained, self.folder, self.progress, view, tell)
        for one in runs:
            if one not in trained:
                course.do(one, self._in_words)

    def _each(
        self,
        words: str,
        configs: Mapping[str, Config],
        costs: CostFile,
        known: dict[str, T],
        measure: Callable[[TrainingSetup], T],
    ) -> dict[str, T]:
        """A figure of every contender, measured where no earlier launch has; those that train the same have one.

        Args:
            words: what is done, as ``counting memory``.
            configs: by contender.
            costs: the file that the figures are kept in.
            known: those figures in it, by what is trained; measured ones are added.
            measure: what the contender trains to the figure.

        Raises:
            UserError: the figure cannot be had; the line names the contender.
        """
        found, done = {}, None
        for count, (name, config) in enumerate(configs.items(), start=1):
            digest = digest_of(config, ignore=_ANYWHERE)
            if digest not in known:
                done = done or self.progress.stage(words, len(configs), "contenders")
                try:
                    known[digest] = measure(TrainingSetup(config, DataModule(config, self.folder.reuse)))
                except UserError as error:
                    raise UserError(f"contenders.{name}: {error}") from None
                costs.save()
            if done:
                done(count)
            found[name] = known[digest]
        return found

    def _tuning_runs(self) -> list[BakeoffRun]:
        if not self.settings.tune:
            return []
        place = self.plan.tuning_place()
        return with_sources(
            [
                BakeoffRun(
                    row,
                    f"{row.name}, {', '.join(f'{key} {value}' for key, value in tuned.items())}",
                    self.configs.of(row, tuned, place),
                    RunFolder(self.folder.tuning_run(row.slug, number)),
                    "all",
                    number,
                )
                for number, tuned in enumerate(self.plan.combinations)
                for row in self.plan.contenders
            ]
        )

    def _choose(self, trials: list[BakeoffRun]) -> None:
        """Fixes each contender's best values; of equal ones the first."""
        for row in self.plan.contenders if trials else ():
            tried = tuple(self._tried(one) for one in trials if one.contender is row)
            known = [(one.score, one.values) for one in tried if one.score is not None]
            if not known:
                raise UserError(f"contenders.{row.name}: has no score with any of the tuned values")
            self.chosen[row.name] = max(known, key=lambda pair: pair[0])[1]
            self.tuning[row.name] = tried

    def _tried(self, one: BakeoffRun) -> TuningRun:
        score = None if one.failure() else known_score(one.folder.read_report(), self.settings.metric)
        return TuningRun(self.plan.combinations[one.index], score)

    def _runs(self) -> list[BakeoffRun]:
        """Seed by seed, so that an early end leaves whole comparisons."""
        plan, settings, axis = self.plan, self.settings, self.settings.axis is not None

        def one(row: Contender, point: Point, index: int) -> BakeoffRun:
            at = f", {point} groups" if axis else ""
            return BakeoffRun(
                row,
                f"{row.name}{at}, seed {settings.seeds[index]}",
                self.configs.of(row, self.chosen[row.name], plan.place(point, index)),
                RunFolder(self.folder.run(row.slug, point, index)),
                point,
                index,
            )

        return with_sources(
            [
                one(row, point, index)
                for index in range(len(settings.seeds))
                for point in settings.points
                for row in plan.contenders
            ]
        )

    def _in_words(self, report: RunReport) -> str:
        score = known_score(report, self.settings.metric)
        return f"{self.settings.metric} {'unknown' if score is None else f'{score:.4g}'}"
