from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from multitask.progress import EpochRecord, LabelScores, Progress, ValidationScores
from multitask.tracking import TrackerSettings
from multitask.tracking.tracker import TrackedRun, Tracker
from multitask.tracking.trackers import Trackers


def record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch=epoch, best=True, val=ValidationScores(loss=float("nan"), joint=LabelScores(macro_f1=0.5)))


class Heard(Tracker):
    """Keeps what it is told; fails where it is told to."""

    def __init__(self, fails: str) -> None:
        self.key, self.fails, self.calls = "k1", fails, list[Any]()

    def _hear(self, call: str, *values: Any) -> None:
        if call == self.fails:
            raise RuntimeError(f"no {call}\nand more")
        self.calls.append((call, *values))

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        self._hear("epoch", epoch, dict(values))

    def report(self, values: Mapping[str, float], files: Any) -> None:
        self._hear("report", dict(values))

    def close(self, *, failed: bool) -> None:
        self._hear("close", failed)


class HeardSettings(TrackerSettings):
    name: Literal["heard", "other"] = "heard"  # type: ignore[assignment]
    fails: str = ""
    opened: ClassVar[list[TrackedRun]] = []
    trackers: ClassVar[list[Heard]] = []

    def open(self, run: TrackedRun) -> Tracker:
        if self.fails == "open":
            raise RuntimeError
        self.opened.append(run)
        self.trackers.append(Heard(self.fails))
        return self.trackers[-1]


class Warnings(Progress):
    def __init__(self) -> None:
        self.told = list[str]()

    def warn(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    HeardSettings.opened.clear()
    HeardSettings.trackers.clear()


@pytest.mark.parametrize("fails", ["open", "epoch", "report", "close"])
def test_one_that_fails_is_told_once_and_the_others_go_on(fails: str, tmp_path: Path) -> None:
    warnings = Warnings()
    with Trackers([HeardSettings(fails=fails), HeardSettings(name="other")], tmp_path, {}, 0, warnings) as trackers:
        trackers.epoch(record(1))
        trackers.epoch(record(2))
        trackers.report({"joint": {"macro_f1": 0.25}}, [])
    reason = "RuntimeError" if fails == "open" else f"no {fails}"
    assert warnings.told == [f"tracking: heard failed, the run goes on without it: {reason}"]
    assert HeardSettings.trackers[-1].calls == [
        ("epoch", 1, {"val/joint/macro_f1": 0.5}),
        ("epoch", 2, {"val/joint/macro_f1": 0.5}),
        ("report", {"report/joint/macro_f1": 0.25}),
        ("close", False),
    ]


def test_one_that_failed_is_closed_at_the_end(tmp_path: Path) -> None:
    with Trackers([HeardSettings(fails="epoch")], tmp_path, {}, 0, Progress()) as trackers:
        with pytest.warns(RuntimeWarning, match=r"^tracking: heard failed, the run goes on without it: no epoch$"):
            trackers.epoch(record(1))
        assert not HeardSettings.trackers[0].calls
    assert HeardSettings.trackers[0].calls == [("close", True)]


def test_what_an_earlier_launch_left_damaged_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "tracking.json").write_text("{")
    warnings = Warnings()
    with Trackers([HeardSettings()], tmp_path, {}, 2, warnings):
        pass
    assert len(warnings.told) == 1
    assert HeardSettings.opened[0].key is None


def test_a_run_that_goes_on_is_opened_by_its_key_and_one_that_begins_is_not(tmp_path: Path) -> None:
    for num_epochs, key in ((0, None), (3, "k1"), (0, None)):
        with Trackers([HeardSettings()], tmp_path, {"a": {"b": 1}}, num_epochs, Progress()):
            pass
        assert HeardSettings.opened[-1] == TrackedRun(tmp_path, {"a.b": 1}, num_epochs, key)
    assert json.loads((tmp_path / "tracking.json").read_text()) == {"heard": "k1"}


def test_an_interrupt_closes_them_as_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Trackers([HeardSettings()], tmp_path, {}, 0, Progress()):
        raise KeyboardInterrupt
    assert HeardSettings.trackers[0].calls == [("close", True)]


def test_without_trackers_nothing_is_left(tmp_path: Path) -> None:
    with Trackers([], tmp_path, {}, 0, Progress()) as trackers:
        trackers.epoch(record(1))
    assert not list(tmp_path.iterdir())
