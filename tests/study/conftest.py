"""What tests of studies need: a study file made out from a few lines, and Optuna's study of it in memory."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import psutil
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial

from multitask.config import Config
from multitask.progress import EpochRecord, LabelScores, StudyProgress, SweepStatus, ValidationScores
from multitask.reporting.study.report_schema import TrialScores
from multitask.settings import validate
from multitask.settings.yaml_text import dump_yaml
from multitask.study import trial_attrs
from multitask.study.folder import StudyFolder
from multitask.study.interrupt import Interrupt
from multitask.study.messages import Done, Epoch, Failed, Job, Lost, Stopped, Warned
from multitask.study.per_trial import PerTrial, quieten
from multitask.study.provenance import record_of
from multitask.study.search import Search
from multitask.study.settings import Plan, StudySettings
from multitask.study.space import Space
from multitask.study.storage import folder_url, open_storage, open_study
from tests.processes import MACHINE, MARK, Forked, stops_after, wait_until_stopped
from tests.study.spaces import Entries, MakeConfig

SPACE = {"heads": "head_weights", "training.lr": {"low": 1e-4, "high": 1e-2, "log": True}}


@pytest.fixture(scope="session")
def make_plan(tiny: Callable[..., Config]) -> Callable[..., Plan]:
    """``make_plan({"training.lr": {"low": 1, "high": 2}}, {"training.epochs": 3}, seed=1)``: space, base, all else."""
    made: dict[str, Plan] = {}

    def make(space: dict[str, Any] | None = None, base: dict[str, Any] | None = None, **settings: Any) -> Plan:
        data = {"name": "test", "base": "/base.yaml", "budget": {"trials": 10}, "space": space or SPACE, **settings}
        key = repr((data, base))  # a space's check takes a while
        if key not in made:
            made[key] = Plan(validate(StudySettings, data), tiny(base))
        return made[key]

    return make


@pytest.fixture(scope="session")
def space_of(tiny: MakeConfig) -> Callable[..., Space]:
    """``space_of({path: entry}, {base setting: value})``."""

    def make(entries: dict[str, Any], base: dict[str, Any] | None = None) -> Space:
        return Space(validate(Entries, {"space": entries}).space, tiny(base))

    return make


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    """Optuna's study of a plan, in memory; with a storage that has it already, the study as it stands there."""
    quieten()

    def make(plan: Plan, storage: BaseStorage | None = None) -> Study:
        settings = plan.settings
        return optuna.create_study(
            storage=InMemoryStorage() if storage is None else storage,
            study_name=settings.name,
            directions=list(settings.directions),
            sampler=PerTrial(settings.sampler, settings.seed),
            pruner=settings.chosen_pruner.build(plan.space.most_epochs),
            load_if_exists=True,
        )

    return make


# --- launches whose workers only act ----------------------------------------------------------------------------

Part = Callable[[Job], Generator[Epoch | Warned, bool, Done | Failed | Stopped | Lost]]
"""What an actor does with a job: it yields epochs, hears whether to go on, and returns how it ended."""


class Watcher(StudyProgress):
    """Remembers what a launch tells, and does something at every tick."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.view: SweepStatus | None = None
        self.on_tick: Callable[[], None] = lambda: None

    def begin(self, view: SweepStatus) -> None:
        self.view = view

    def tick(self) -> None:
        self.on_tick()

    def ended(self, text: str, kind: str) -> None:
        self.lines.append((kind, text))

    def say(self, text: str) -> None:
        self.lines.append(("said", text))

    def warn(self, text: str) -> None:
        self.lines.append(("warned", text))

    def told(self, *kinds: str) -> list[str]:
        """The lines of these kinds."""
        return [text for kind, text in self.lines if kind in kinds]


class Actor:
    """In the place of a worker: it trains nothing, but says what a part tells it to."""

    def __init__(self, number: int, part: Part) -> None:
        self.number = number
        self.idle = True
        self.process = SimpleNamespace(pid=os.getpid())
        self._part = part
        self._play: Any = None
        self._answer: Any = None

    def send(self, message: Any) -> None:
        if isinstance(message, Job):
            self.idle, self._play, self._answer = False, self._part(message), None
        else:
            self._answer = message

    def says(self) -> Any:
        try:
            return self._play.send(self._answer)
        except StopIteration as end:
            return end.value


class Stage:
    """In the place of a pool."""

    def __init__(self, part: Part, num_workers: int) -> None:
        self._part = part
        self.workers = [Actor(number, part) for number in range(num_workers)]
        self.jobs: list[Job] = []
        self.closed = False

    def idle(self) -> list[Actor]:
        return [actor for actor in self.workers if actor.idle]

    def listen(self, timeout_s: float) -> Iterator[tuple[Actor, Any]]:
        busy = [actor for actor in self.workers if not actor.idle]
        if not busy:
            time.sleep(0.01)
        for actor in busy:
            message = actor.says()
            if isinstance(message, Lost):
                self.workers[actor.number] = Actor(actor.number, self._part)
            yield actor, message

    def close(self) -> None:
        self.closed = True


def _trained(
    scores: Callable[[dict[str, Any]], Sequence[float | Mapping[str, float]]],
    ends: Callable[[Job, int], Done | Failed | Lost | None] = lambda job, epoch: None,
) -> Part:
    """A part that trains, so to say.

    Args:
        scores: what a config's run has after its epochs, in all heads or by head.
        ends: another end of a job after an epoch; None: it goes on.
    """

    def part(job: Job) -> Generator[Epoch, bool, Done | Failed | Stopped | Lost]:
        heads = list(job.config["labels"]["tasks"])
        rows = [
            {"joint": math.fsum(row.values()) / len(row), **row}
            if isinstance(row, Mapping)
            else dict.fromkeys(["joint", *heads], row)
            for row in scores(job.config)
        ]
        for epoch, row in enumerate(rows, 1):
            tasks = {head: LabelScores(macro_f1=row[head]) for head in heads}
            val = ValidationScores(joint=LabelScores(macro_f1=row["joint"]), tasks=tasks)
            going = yield Epoch(EpochRecord(epoch=epoch, val=val, best=False))
            if (end := ends(job, epoch)) is not None:
                return end
            if not going:
                return Stopped()
        best = max(rows, key=lambda row: row["joint"] if math.isfinite(row["joint"]) else -1.0)
        figures = {metric: best[metric.split(".")[-2]] for metric in job.metrics}
        return Done(figures, TrialScores(best["joint"], {head: best[head] for head in heads}), 1.0)

    return part


@pytest.fixture(scope="session")
def trained() -> Callable[..., Part]:
    """The part of a worker that trains: ``trained(lambda config: [0.1, 0.2])`` with these scores after its epochs."""
    return _trained


def _places(trials: Sequence[FrozenTrial]) -> dict[int, list[FrozenTrial]]:
    """Every place of the budget, by the number of the trial that first had it, with all its trials in order."""
    found: dict[int, list[FrozenTrial]] = {}
    first: dict[int, int] = {}
    for trial in trials:
        if not trial_attrs.is_surplus(trial):
            before = trial.user_attrs.get(trial_attrs.RETRY_OF)
            first[trial.number] = trial.number if before is None else first[before]
            found.setdefault(first[trial.number], []).append(trial)
    return found


@pytest.fixture(scope="session")
def places() -> Callable[[Sequence[FrozenTrial]], dict[int, list[FrozenTrial]]]:
    """The places of a budget, each with the trials that had it, one after another."""
    return _places


@pytest.fixture(scope="session")
def stage() -> type[Stage]:
    """In the place of ``Pool``: ``stage(part, 2)``."""
    return Stage


@pytest.fixture
def watcher() -> Watcher:
    """Hears how a study goes."""
    return Watcher()


@pytest.fixture
def search(tmp_path: Path) -> Callable[..., Study]:
    """The trials of one launch with actors for workers; the same folder again is another launch of the study."""

    def make(
        plan: Plan,
        part: Part,
        *,
        workers: int = 1,
        out: str = "study",
        url: str | None = None,
        progress: StudyProgress | None = None,
        interrupt: Interrupt | None = None,
        extend: bool = False,
    ) -> Study:
        quieten()
        folder = StudyFolder(tmp_path / out)
        folder.path.mkdir(exist_ok=True)
        storage = open_storage(url or folder_url(folder.database), plan.settings.heartbeat)
        study = open_study(storage, plan, record_of(plan, "data"), extend)
        actors: Any = Stage(part, workers)
        try:
            Search(study, plan, folder, actors, progress or StudyProgress(), alone=url is None).run(
                interrupt or Interrupt()
            )
        finally:
            storage.engine.dispose()
        return study

    return make


AN_EPOCH = "multitask.study.search:Search._goes_on"
"""After which a launch has heard of an epoch of a trial that it runs."""


# --- launches that are processes --------------------------------------------------------------------------------


class Launch:
    """``multitask study`` in a process of its own, with variables of the environment in addition."""

    def __init__(self, words: Sequence[str], log: Path, variables: Mapping[str, str]) -> None:
        self._log = log
        environment = {**os.environ, **variables}
        with log.open("ab") as file:
            self.process = Forked(
                [sys.executable, "-m", "multitask", "study", *words], stdout=file, stderr=file, env=environment
            )

    @property
    def output(self) -> str:
        """What it printed, on both streams."""
        return self._log.read_text()

    def workers(self) -> list[psutil.Process]:
        """Its workers, those that still start too."""
        return self.process.workers()

    def kill(self) -> list[psutil.Process]:
        """Kills it as the kernel does when memory is short; the workers that it had."""
        workers = self.workers()
        self.process.kill()
        self.process.wait(30)
        return workers

    def wait(self, seconds: float = 120) -> int:
        """Its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still runs after {seconds} s: {self.output}")

    def wait_for(self, condition: Callable[[], Any], seconds: float = 60) -> None:
        """Until something is so."""
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.output}"
            assert time.monotonic() < until, f"waited {seconds} s in vain: {self.output}"
            time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Launch]]:
    """Starts ``multitask study`` with words, on a machine of ``machines`` or with a mark for ``marked`` where one is
    named, to stop itself where ``stops`` of ``stops_after`` says; at the end of the test neither launches nor workers
    are left.
    """
    launches: list[Launch] = []

    def make(
        *words: object, machine: str | None = None, mark: str | None = None, stops: Mapping[str, str] | None = None
    ) -> Launch:
        variables = {name: value for name, value in ((MACHINE, machine), (MARK, mark)) if value is not None}
        variables |= stops or {}
        launches.append(Launch([*map(str, words)], tmp_path / f"launch-{len(launches)}.log", variables))
        return launches[-1]

    yield make
    for launch in launches:
        for worker in launch.kill():
            with suppress(psutil.Error):
                worker.kill()


@pytest.fixture
def study_file(tiny: Callable[..., Config], tmp_path: Path) -> Callable[..., Path]:
    """Writes a study file and its base: ``study_file(space, {"training.epochs": 3}, seed=1)``."""

    def make(space: dict[str, Any] | None = None, base: dict[str, Any] | None = None, **settings: Any) -> Path:
        (tmp_path / "base.yaml").write_text(dump_yaml(tiny(base).model_dump(mode="json")))
        data = {"name": "test", "base": "base.yaml", "budget": {"trials": 10}, "space": space or SPACE, **settings}
        path = tmp_path / "test.yaml"
        path.write_text(dump_yaml(data))
        return path

    return make


@pytest.fixture(scope="session")
def read() -> Callable[[str], list[FrozenTrial]]:
    """The trials of the study ``test`` in a storage, through plain Optuna."""

    def make(url: str) -> list[FrozenTrial]:
        storage = optuna.storages.RDBStorage(url.replace("postgresql:", "postgresql+psycopg:"))
        trials = optuna.load_study(study_name="test", storage=storage).trials
        storage.engine.dispose()
        return trials

    return make


@pytest.fixture
def share(
    start: Callable[..., Launch],
    study_file: Callable[..., Path],
    read: Callable[[str], list[FrozenTrial]],
    tmp_path: Path,
) -> Callable[..., list[FrozenTrial]]:
    """Two launches share a storage, one of them is killed, and the other one ends the study; its trials then."""

    def make(url: str, trials: int, workers: int) -> list[FrozenTrial]:
        heartbeat = {"interval_s": 1, "grace_s": 6}
        file = study_file(
            None, {"training.epochs": 6}, budget={"trials": trials}, heartbeat=heartbeat, pruner="none", workers=workers
        )
        words = (file, "--storage", url, "--out")
        one = start(*words, tmp_path / "one", stops=stops_after(AN_EPOCH, f"len(args[0]._running) == {workers}"))
        wait_until_stopped(one.process)
        two = start(*words, tmp_path / "two")
        two.wait_for(lambda: any((tmp_path / "two").glob("trials/*/metrics.jsonl")))
        _, alive = psutil.wait_procs(one.kill(), timeout=60)
        assert not alive
        assert two.wait(240) == 0, two.output
        return read(url)

    return make
