"""The run folder: everything a run was and gave, so that nothing lives in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from multitask.data.data_facts import DataFacts
from multitask.errors import UserError
from multitask.evaluation.networks_schema import SoupFacts
from multitask.evaluation.report_overview import ReportOverview, RunOverview
from multitask.evaluation.report_schema import RunReport
from multitask.progress import EpochRecord, kept_epoch
from multitask.runs.records import Environment, Failure, RunEnvironment
from multitask.utils.files import held, is_part, remove_all_parts, write_atomically
from multitask.utils.records import parse_record, read_record, read_text, record_to_json, require


class RunFolder:
    """The files of one run.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.environment = path / "environment.json"
        self.data = path / "data.json"
        self.split = path / "split.csv"
        self.decode = path / "decode.json"
        self.metrics = path / "metrics.jsonl"
        self.checkpoints = path / "checkpoints"
        self.best = self.checkpoints / "best.safetensors"
        self.last = self.checkpoints / "last.safetensors"
        self.step = self.checkpoints / "step.safetensors"
        self.folds = path / "folds"
        self.members = path / "members"
        self.ensemble = path / "ensemble.json"
        self.soup = path / "soup.json"
        self.failure = path / "failed.json"
        self._lock = path / ".lock"
        self._rows: list[tuple[EpochRecord, str]] = []  # of the history as last written, with their text

    @property
    def name(self) -> str:
        """The folder's name; of a fold, ``run/folds/index``, and of an ensemble's member ``run/members/index``."""
        parts = self.path.resolve().parts
        return "/".join(parts[-3:]) if parts[-2:-1] in ((self.folds.name,), (self.members.name,)) else parts[-1]

    @property
    def num_folds(self) -> int | None:
        """The number of folds; None where it is no run in folds.

        Raises:
            UserError: what the run began with cannot be read.
        """
        return self.read_environment().num_folds if self.folds.is_dir() else None

    def read_environment(self, *needed: str) -> RunEnvironment:
        """``environment.json``.

        Raises:
            UserError: it cannot be read, is damaged, or lacks what is ``needed``.
        """
        environment = read_record(self.environment, RunEnvironment)
        require(environment, self.environment, *needed)
        return environment

    def read_data(self) -> DataFacts:
        """``data.json``.

        Raises:
            UserError: it cannot be read, or is damaged.
        """
        return read_record(self.data, DataFacts)

    def fold(self, index: int) -> RunFolder:
        """The run of one fold."""
        return RunFolder(self.folds / str(index))

    @property
    def is_ensemble(self) -> bool:
        """Whether it is no run of its own, but several runs as one."""
        return self.ensemble.is_file()

    def read_soup(self) -> SoupFacts | None:
        """Of which runs' weights this one's are the mean; None: it was trained itself.

        Raises:
            UserError: the record cannot be read, or is damaged.
        """
        return read_record(self.soup, SoupFacts) if self.soup.is_file() else None

    def member(self, index: int) -> RunFolder:
        """The run, or run in folds, of one member of an ensemble."""
        return RunFolder(self.members / str(index))

    def report(self, split: str = "val", suffix: str = "json") -> Path:
        """The report of a split; that of the validation images is plainly ``report``."""
        return self.path / (f"report.{suffix}" if split == "val" else f"report-{split}.{suffix}")

    def predictions(self, split: str = "val") -> Path:
        """The table of predictions of a split."""
        return self.path / f"predictions-{split}.csv"

    def exists(self) -> bool:
        """Whether there is a run."""
        return self.config.is_file()

    def require(self) -> None:
        """Checks that there is a run.

        Raises:
            UserError: there is none.
        """
        if not self.exists():
            raise UserError(f"{self.path}: is no run folder: it has no config.yaml")

    def claim(self, resume: bool, num_folds: int | None = None) -> None:
        """Checks that a run, or a run in so many folds, may be written here, before anything is done.

        Raises:
            UserError: there is a run and it is not to be resumed, or not as such; or there is something else.
        """
        if self.is_ensemble or self.soup.is_file():
            what = "an ensemble" if self.is_ensemble else "a soup of runs"
            raise UserError(f"{self.path}: holds {what}; name another --out")
        if self.exists():
            if not resume:
                raise UserError(f"{self.path}: holds a run already; continue it with --resume or name another --out")
            if self.num_folds != num_folds:
                held = "a run that is not in folds" if self.num_folds is None else f"a run in {self.num_folds} folds"
                how = "without --folds" if self.num_folds is None else f"with --folds {self.num_folds}"
                raise UserError(f"{self.path}: holds {held}; continue it {how} or name another --out")
        elif self.path.exists() and (not self.path.is_dir() or any(map(self._foreign, self.path.iterdir()))):
            raise UserError(f"{self.path}: exists and is no run folder; name another --out")

    @contextmanager
    def claimed(self, resume: bool, num_folds: int | None = None) -> Iterator[None]:
        """As ``claim``, then as ``locked``.

        Raises:
            UserError: as both.
        """
        self.claim(resume, num_folds)
        with self.locked():
            self.claim(resume, num_folds)  # again: another process may have made it meanwhile
            yield

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder and keeps other writers on this machine out; one that is killed lets go.

        What killed writers left half written is removed; and the folder too, if it was not there and in the end holds
        no run.

        Raises:
            UserError: another process is writing the run.
        """
        existed = self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        with held(self._lock) as mine:
            if not mine:
                raise UserError(f"{self.path}: another process is writing this run; wait for it, or name another --out")
            try:
                remove_all_parts(self.path)
                yield
            finally:
                if self.path.is_dir():
                    self._lock.unlink(missing_ok=True)
                if not existed and not self.exists():
                    with suppress(OSError):  # somebody else's files, or those of a run killed within ``create``
                        self.path.rmdir()

    def fail(self, reason: str) -> None:
        """Notes why the run has ended before it was done."""
        write_atomically(self.failure, record_to_json(Failure(reason)))

    def _foreign(self, entry: Path) -> bool:
        """Whether a file is none of those that a run killed within ``create`` leaves."""
        if entry in (self.checkpoints, self.folds):
            return not entry.is_dir() or any(entry.iterdir())
        return entry not in (self.environment, self._lock) and not is_part(entry)

    def create(self, config_yaml: str, environment: Environment, num_folds: int | None = None) -> None:
        """Makes the folder, of a run in folds if so; the config is written last, so that what has one is a run."""
        (self.checkpoints if num_folds is None else self.folds).mkdir(parents=True, exist_ok=True)
        write_atomically(self.environment, record_to_json(replace(environment, num_folds=num_folds)))
        write_atomically(self.config, config_yaml)

    def write_history(self, history: Iterable[EpochRecord]) -> None:
        """``metrics.jsonl``, a row per epoch. Written whole, so a resumed run cannot repeat a row."""
        rows, known = list(history), self._rows
        same = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1][0], zip(rows, known, strict=False)))
        known[same:] = [(row, record_to_json(row, indent=None)) for row in rows[same:]]
        write_atomically(self.metrics, "".join(line for _, line in known))

    def read_history(self) -> list[EpochRecord]:
        """The rows of ``metrics.jsonl``; none where there is no such file yet.

        Raises:
            UserError: it cannot be read, or is damaged.
        """
        if not self.metrics.exists():
            return []
        return [parse_record(line, EpochRecord, self.metrics) for line in read_text(self.metrics).splitlines()]

    def read_report(self, split: str = "val") -> RunReport:
        """The report of a split.

        Raises:
            UserError: there is none yet, or it is damaged, or of a newer version.
        """
        path = self.report(split)
        if not path.is_file():
            flag = "" if split == "val" else f" --split {split}"
            raise UserError(f"{path}: no such file; `multitask evaluate {self.path}{flag}` writes it")
        return read_record(path, RunReport)


def new_folder(parent: Path, name: str) -> Path:
    """A path for a new run: ``parent/name-date-time``, with a number behind it if that exists."""
    stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    path, count = parent / stem, 1
    while path.exists():
        count += 1
        path = parent / f"{stem}-{count}"
    return path


def list_runs(parent: Path) -> list[RunFolder]:
    """The runs in a folder and in the folders inside it, oldest first.

    Raises:
        UserError: there is no such folder.
    """
    if not parent.is_dir():
        raise UserError(f"{parent}: no such folder")
    configs = [*parent.glob("config.yaml"), *parent.glob("*/config.yaml"), *parent.glob("*/*/config.yaml")]
    found = [path for path in configs if (path.parent / "environment.json").exists()]
    return [RunFolder(path.parent) for path in sorted(found, key=lambda path: (path.stat().st_mtime, str(path)))]


def overview(run: RunFolder, parent: Path) -> RunOverview:
    """The row of a run in a list of the runs in ``parent``.

    A run whose files are damaged is a line that says so: it hides no other.
    """
    name = str(run.path.relative_to(parent)) if run.path != parent else run.name
    try:
        return _overview(run, name)
    except UserError as error:
        state = "damaged: " + str(error).replace(f"{run.path}/", "").replace(" is damaged:", "")
        return RunOverview(name=name, epochs="-", state=state)


def _overview(run: RunFolder, name: str) -> RunOverview:
    history = run.read_history()
    kept = kept_epoch(history)
    epochs = f"{len(history)}, best {kept}" if kept else str(len(history))
    if run.num_folds is not None:
        done = sum(run.fold(index).report().is_file() for index in range(run.num_folds))
        epochs = f"{done} of {run.num_folds} folds"
    failed = run.failure.is_file()
    if not run.report().exists():
        return RunOverview(name=name, epochs=epochs, state="failed" if failed else "not reported")
    report = read_record(run.report(), ReportOverview)
    return RunOverview(
        name=name,
        epochs=epochs,
        macro_f1=report.joint.macro_f1,
        macro_f1_ci=report.joint.macro_f1_ci,
        tasks={task: scores.macro_f1 for task, scores in report.tasks.items()},
        state="failed" if failed else "reported",
    )
