from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from multitask.config import Config
from multitask.evaluation.report_schema import RunReport
from multitask.progress import EpochRecord, Progress
from multitask.runs.run import run
from multitask.study.messages import Beat, Done, Epoch, Failed, Job, Ready, Stopped
from multitask.study.metrics import figure
from multitask.study.pool import Worker
from multitask.study.worker import do
from multitask.tracking import csv_file
from multitask.utils.records import read_record, to_json_data

ONE = {"training.epochs": 1, "training.schedule.warmup_epochs": 0}
METRICS = ("joint.macro_f1", "tasks.age.mae")


@pytest.fixture
def make_job(tiny: Callable[..., Config], tmp_path: Path) -> Callable[..., Job]:
    (tmp_path / "reuse").mkdir()

    def make(changes: dict[str, Any] | None = None, metrics: tuple[str, ...] = METRICS, **more: Any) -> Job:
        config = tiny(changes).model_dump(mode="json")
        return Job(config, tmp_path / "trial", tmp_path / "reuse", metrics, **more)

    return make


def always(record: EpochRecord) -> bool:
    return True


class TestDo:
    def test_a_run_that_is_done_gives_its_reports_figures(self, make_job: Callable[..., Job], tmp_path: Path) -> None:
        records: list[EpochRecord] = []

        def goes_on(record: EpochRecord) -> bool:
            records.append(record)
            return True

        done = do(make_job(), goes_on)
        assert isinstance(done, Done)
        report = read_record(tmp_path / "trial" / "report.json", RunReport)
        assert done.figures == {metric: figure(report, metric) for metric in METRICS}
        assert done.scores.joint == report.joint.macro_f1
        assert done.scores.tasks == {task: found.macro_f1 for task, found in report.tasks.items()}
        assert done.seconds > 0
        assert [record.epoch for record in records] == [1, 2]
        assert (tmp_path / "trial" / "predictions-val.csv").is_file()
        assert not (tmp_path / "trial" / "checkpoints").exists()

    @pytest.mark.parametrize("kept", [False, True])
    def test_a_state_to_go_on_from_is_written_only_where_checkpoints_stay(
        self, make_job: Callable[..., Job], tmp_path: Path, kept: bool
    ) -> None:
        checkpoints, seen = tmp_path / "trial" / "checkpoints", []

        def goes_on(record: EpochRecord) -> bool:
            seen.append({path.name for path in checkpoints.iterdir()})
            return True

        do(make_job({"training.checkpoint_steps": 1}, keep_checkpoints=kept), goes_on)
        assert seen[-1] == ({"best.safetensors", "last.safetensors"} if kept else {"best.safetensors"})
        assert checkpoints.exists() == kept

    def test_a_run_is_stopped_after_the_epoch_that_is_refused(
        self, make_job: Callable[..., Job], tmp_path: Path
    ) -> None:
        assert do(make_job(), lambda record: False) == Stopped()
        assert len((tmp_path / "trial" / "metrics.jsonl").read_text().splitlines()) == 1
        assert not (tmp_path / "trial" / "checkpoints").exists()

    def test_what_stands_in_the_folder_is_removed(self, make_job: Callable[..., Job], tmp_path: Path) -> None:
        left = tmp_path / "trial" / "of a trial that was lost"
        left.mkdir(parents=True)
        assert isinstance(do(make_job(ONE), always), Done)
        assert not left.exists()

    def test_a_tracker_that_fails_is_warned_of(
        self, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(path: Path, text: str) -> None:
            raise OSError(28, "No space left on device")

        class Warnings(Progress):
            def warn(self, text: str) -> None:
                told.append(text)

        told = list[str]()
        monkeypatch.setattr(csv_file, "write_atomically", full)
        assert isinstance(do(make_job({**ONE, "tracking": ["csv"]}), always, Warnings()), Done)
        assert told == ["tracking: csv failed, the run goes on without it: [Errno 28] No space left on device"]

    def test_what_a_user_can_mend_is_told_as_it_is(self, make_job: Callable[..., Job]) -> None:
        failed = do(make_job({"data.root": "/nowhere"}), always)
        assert isinstance(failed, Failed)
        assert failed.message.startswith("/nowhere")

    def test_a_loss_that_is_no_number_names_the_head(self, make_job: Callable[..., Job]) -> None:
        failed = do(make_job({"training.lr": 1e6, "training.clip_norm": None}), always)
        assert isinstance(failed, Failed)
        # Which of them first is no number depends on how the processor rounds.
        assert re.match(r"heads\.\w+: the (loss is|network answers) .*; lower training\.lr", failed.message)

    def test_any_other_error_is_told_in_a_line(
        self, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def breaks(*args: object, **more: object) -> None:
            raise RuntimeError("CUDA out of memory.\n  Tried to allocate 2 GiB")

        monkeypatch.setattr("multitask.study.worker.run", breaks)
        assert do(make_job(), always) == Failed("RuntimeError: CUDA out of memory. Tried to allocate 2 GiB")

    def test_a_figure_that_the_report_does_not_have_is_none(self, make_job: Callable[..., Job]) -> None:
        done = do(make_job(ONE, metrics=("tasks.age.auroc_of_nothing",)), always)
        assert isinstance(done, Done)
        assert done.figures == {"tasks.age.auroc_of_nothing": None}

    def test_the_score_is_the_single_runs_to_the_bit(
        self, make_job: Callable[..., Job], tiny: Callable[..., Config], tmp_path: Path
    ) -> None:
        do(make_job(), always)
        alone = run(tiny(), tmp_path / "alone")
        trial = json.loads((tmp_path / "trial" / "report.json").read_text())
        assert alone.report is not None
        for key in ("joint", "tasks", "attribution"):
            assert trial[key] == to_json_data(getattr(alone.report, key))
        assert (tmp_path / "trial" / "predictions-val.csv").read_bytes() == (
            tmp_path / "alone" / "predictions-val.csv"
        ).read_bytes()


class TestProcess:
    @pytest.fixture
    def worker(self, tmp_path: Path) -> Iterator[Worker]:
        with (tmp_path / "log").open("ab") as log:
            worker = Worker(0, 1, None, log)
            yield worker
            worker.end()

    def hears(self, worker: Worker, kind: type, seconds: float = 120) -> Any:
        """The worker's next message of a kind, of which beats alone may come before."""
        while worker.connection.poll(seconds):
            message = worker.connection.recv()
            if isinstance(message, kind):
                return message
            assert isinstance(message, Beat)
        raise AssertionError(f"no {kind.__name__} within {seconds} s")

    def test_it_does_one_job_after_another_and_goes_when_the_launch_is_gone(
        self, worker: Worker, make_job: Callable[..., Job]
    ) -> None:
        self.hears(worker, Ready)
        process = psutil.Process(worker.process.pid)
        assert os.getpgid(process.pid) == process.pid  # out of the reach of the terminal's Ctrl-C
        worker.process.send_signal(signal.SIGINT)
        worker.send(make_job({"data.root": "/nowhere"}))
        assert self.hears(worker, Failed).message.startswith("/nowhere")
        worker.send(make_job(ONE))
        assert self.hears(worker, Epoch).record.epoch == 1
        worker.send(True)
        assert set(self.hears(worker, Done).figures) == set(METRICS)
        # In the middle of a run:
        worker.send(make_job({"training.epochs": 10_000}))
        self.hears(worker, Epoch)
        worker.send(True)
        self.hears(worker, Epoch)
        worker.send(True)
        worker.connection.close()
        assert worker.process.wait(60) == 1

    def test_it_goes_from_where_it_waits_too(self, worker: Worker) -> None:
        self.hears(worker, Ready)
        worker.connection.close()
        worker.process.wait(60)
