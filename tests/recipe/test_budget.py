"""The budget as people write it, and a clock that remembers earlier launches."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.progress import RunningTrial, StudyProgress
from multitask.recipe import budget as module
from multitask.recipe import progress as progress_module
from multitask.recipe.budget import BudgetSpentError, Clock, parse_budget
from multitask.recipe.lab import Timed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("5400s", 5400), ("1h30m", 5400), ("1.5h", 5400), (" 2 H ", 7200), ("1d", 86400)],
)
def test_a_budget_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2x", "0h", "0s", "nan", "1e9s", "m2", "30m2h", "٢h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^--budget: must be a time above 0 as 2h, 90m, 5400s or 1h30m, found "):
        parse_budget(text, "--budget")


def test_a_budget_of_years_is_refused() -> None:
    with pytest.raises(UserError, match=r"^budget: must be at most 366 days, found '9999d'$"):
        parse_budget("9999d")


class FakeTime:
    def __init__(self) -> None:
        self.now = 100.0
        self.held_up_s = 0.0

    def monotonic(self) -> float:
        self.now += self.held_up_s
        return self.now


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    clock = FakeTime()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_what_an_earlier_launch_spent_counts(tmp_path: Path, fake: FakeTime) -> None:
    clock = Clock(tmp_path / "clock.json", 100)
    clock.keeps = True
    with clock.running("crop"):
        fake.now += 30
        clock.check()  # after an epoch; a launch that is killed now has spent 30 s
        fake.now += 20
        killed = Clock(tmp_path / "clock.json", 100)
    assert (killed.of("crop"), killed.left_s) == (30, 70)
    again = Clock(tmp_path / "clock.json", 100)
    assert (again.of("crop"), again.spent_s) == (50, 50)
    with again.running("study"):
        fake.now += 49
        again.check()
        fake.now += 1
        with pytest.raises(BudgetSpentError):
            again.check()
    assert Clock(tmp_path / "clock.json", 200).left_s == 100


def test_a_stage_that_takes_more_than_it_was_allowed_ends(tmp_path: Path, fake: FakeTime) -> None:
    clock = Clock(tmp_path / "clock.json", 100)
    with clock.running("crop"):
        clock.allow(10)
        fake.now += 9
        clock.check()
        fake.now += 1
        with pytest.raises(BudgetSpentError):
            clock.check()
    assert not (tmp_path / "clock.json").exists(), "nothing is kept before the folder is a recipe's"


def test_a_run_that_is_done_is_not_spent(tmp_path: Path, fake: FakeTime) -> None:
    clock = Clock(tmp_path / "clock.json", 100)
    clock.keeps = True
    trial, progress = RunningTrial("one", 2, {}), Timed(StudyProgress(), clock)
    with clock.running("crop"):
        fake.now += 200
        trial.epoch = 2
        progress.epoch(trial)
        assert Clock(tmp_path / "clock.json", 100).of("crop") == 200
        trial.epoch = 1
        with pytest.raises(BudgetSpentError):
            progress.epoch(trial)


def test_an_image_costs_the_mean_of_all_runs_which_begins_with_the_first(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock.json", 100)
    clock.keeps = True
    clock.image_s = 9.0  # of a few batches, before any run
    clock.trained(20, 10)
    assert clock.image_s == 2
    clock.trained(30, 30)
    again = Clock(tmp_path / "clock.json", 100)
    assert again.image_s == pytest.approx(50 / 40)
    again.trained(10, 40)
    assert again.image_s == pytest.approx(60 / 80)


def test_what_runs_take_beside_their_images_is_a_mean_that_goes_on(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock.json", 100)
    clock.keeps = True
    assert clock.run_s == 0
    clock.ran(4.0)
    clock.ran(-1.0)  # images took less than was reckoned
    again = Clock(tmp_path / "clock.json", 100)
    again.ran(2.0)
    assert again.run_s == pytest.approx(6 / 3)


def test_what_runs_share_of_their_images_is_reckoned_once_and_its_cost_goes_on(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock.json", 100)
    clock.keeps = True
    clock.prepared("as before", 0.0, 7)  # another command had kept it
    assert clock.is_prepared("as before")
    assert clock.preparing_image_s == 0
    clock.prepared("one", 20.0, 10)
    clock.prepared("other", 10.0, 30)
    again = Clock(tmp_path / "clock.json", 100)
    assert again.preparing_image_s == pytest.approx(30 / 40)
    assert again.is_prepared("one")
    assert not again.is_prepared("third")
    again.nothing_is_prepared()
    third = Clock(tmp_path / "clock.json", 100)
    assert not third.is_prepared("one")
    assert third.preparing_image_s == pytest.approx(30 / 40)


def test_a_piece_of_work_counts_from_its_beginning_to_its_last_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeTime()
    monkeypatch.setattr(progress_module, "time", fake)
    clock = Clock(tmp_path / "clock.json", 100)
    done = Timed(StudyProgress(), clock).stage("reading images", 2, "image")
    fake.now += 3
    done(1)
    assert clock.worked_s == 0
    fake.now += 4
    done(2)
    assert clock.worked_s == 7


def test_no_second_counts_twice_however_long_the_clock_is_held_up(tmp_path: Path, fake: FakeTime) -> None:
    clock = Clock(tmp_path / "clock.json", 100)
    with clock.running("crop"):
        fake.held_up_s = 5.0  # each time that it is read
        clock.save()
        clock.save()
    fake.held_up_s = 0.0
    assert clock.of("crop") == fake.now - 100.0


def test_time_outside_of_stages_is_not_counted(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock.json", 100)
    time.sleep(0.01)
    assert clock.spent_s == 0
