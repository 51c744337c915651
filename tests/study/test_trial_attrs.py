from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial

from multitask.study import trial_attrs

START = datetime(2026, 1, 1)


def trial(
    number: int, state: TrialState = TrialState.COMPLETE, minutes: int | None = None, **attributes: Any
) -> FrozenTrial:
    """A trial that ended so many minutes after the start, or in the order of the numbers."""
    made = create_trial(
        state=state,
        values=[0.5] if state == TrialState.COMPLETE else None,
        user_attrs={trial_attrs.ORIGIN: "base" if number == 0 else "sampled", **attributes},
    )
    made.number = number
    if state.is_finished():
        made.datetime_complete = START + timedelta(minutes=number if minutes is None else minutes)
    return made


def failed(number: int, **attributes: Any) -> FrozenTrial:
    return trial(number, TrialState.FAIL, **{trial_attrs.FAILURE: "why", **attributes})


def lost(number: int, attempt: int = 0, **attributes: Any) -> FrozenTrial:
    return failed(number, **{trial_attrs.LOST: True, trial_attrs.ATTEMPT: attempt, **attributes})


def surplus(number: int, **attributes: Any) -> FrozenTrial:
    return failed(number, **{trial_attrs.SURPLUS: True, **attributes})


def retry(
    number: int, of: int, attempt: int = 1, state: TrialState = TrialState.COMPLETE, **attributes: Any
) -> FrozenTrial:
    return trial(number, state, **{trial_attrs.RETRY_OF: of, trial_attrs.ATTEMPT: attempt, **attributes})


def numbers(trials: list[FrozenTrial]) -> list[int]:
    return [trial.number for trial in trials]


# --- one by one -------------------------------------------------------------------------------------------------


def test_what_counts_is_neither_surplus_nor_lost_with_a_successor() -> None:
    trials = [
        trial(0),
        trial(1, TrialState.PRUNED),
        failed(2),
        lost(3),
        lost(4, attempt=2),  # was lost too often
        surplus(5),
        trial(6, TrialState.RUNNING),
        retry(7, of=3, state=TrialState.WAITING),
    ]
    assert numbers(trial_attrs.counted(trials, retries=2)) == [0, 1, 2, 4, 6, 7]
    assert numbers(trial_attrs.counted(trials, retries=0)) == [0, 1, 2, 3, 4, 6, 7]


def test_an_error_and_a_pruned_trial_are_not_lost() -> None:
    assert trial_attrs.is_lost(lost(1))
    assert not any(map(trial_attrs.is_lost, [failed(1), trial(1), trial(1, TrialState.PRUNED), surplus(1)]))
    # Marked, but not yet ended.
    assert not trial_attrs.is_lost(trial(1, TrialState.RUNNING, **{trial_attrs.LOST: True}))
    assert not trial_attrs.is_surplus(trial(1, TrialState.RUNNING, **{trial_attrs.SURPLUS: True}))


def test_lost_trials_without_a_successor_are_found_until_they_were_lost_too_often() -> None:
    trials = [trial(0), lost(1), lost(2), retry(3, of=1), failed(4), lost(5, attempt=3, **{trial_attrs.RETRY_OF: 9})]
    assert numbers(trial_attrs.without_successor(trials, retries=4)) == [2, 5]
    assert numbers(trial_attrs.without_successor(trials, retries=3)) == [2]
    assert trial_attrs.without_successor(trials, retries=0) == []


@pytest.mark.parametrize("total", [None, 1, 2, 3])
def test_a_place_beyond_the_budget_is_taken(total: int | None) -> None:
    trials = [trial(0), failed(1), trial(2, TrialState.RUNNING)]
    taken = [trial_attrs.takes_a_taken_place(one, trials, total, retries=1) for one in trials]
    assert taken == [total is not None and one.number >= total for one in trials]


def test_only_earlier_trials_take_a_place() -> None:
    trials = [trial(0), trial(1, TrialState.RUNNING), trial(2, TrialState.RUNNING)]
    assert not trial_attrs.takes_a_taken_place(trials[1], trials, 2, retries=1)
    assert trial_attrs.takes_a_taken_place(trials[2], trials, 2, retries=1)


def test_of_two_that_fill_the_same_place_the_first_one_runs() -> None:
    bases = [trial(0, TrialState.RUNNING), trial(1, TrialState.RUNNING, **{trial_attrs.ORIGIN: "base"})]
    assert [trial_attrs.takes_a_taken_place(one, bases, 9, retries=1) for one in bases] == [False, True]
    retries = [lost(0), retry(1, of=0, state=TrialState.RUNNING), retry(2, of=0, state=TrialState.RUNNING)]
    assert [trial_attrs.takes_a_taken_place(one, retries, 9, retries=1) for one in retries[1:]] == [False, True]


def test_a_retry_takes_the_place_of_the_trial_that_was_lost_however_full_it_is() -> None:
    trials = [trial(0), lost(1), trial(2), retry(3, of=1, state=TrialState.RUNNING)]
    assert not trial_attrs.takes_a_taken_place(trials[3], trials, 3, retries=1)


def test_a_lost_trial_keeps_its_place_until_its_successor_takes_it() -> None:
    # Another machine asked for trial 2 before trial 1's loss was made good.
    trials = [trial(0), lost(1), trial(2, TrialState.RUNNING)]
    assert trial_attrs.takes_a_taken_place(trials[2], trials, 2, retries=1)
    assert not trial_attrs.takes_a_taken_place(trials[2], trials, 3, retries=1)
    later = [*trials, retry(3, of=1, state=TrialState.WAITING)]
    assert trial_attrs.takes_a_taken_place(trials[2], later, 2, retries=1)


def test_a_surplus_trial_leaves_its_place_to_others() -> None:
    trials = [trial(0), surplus(1), trial(2, TrialState.RUNNING)]
    assert not trial_attrs.takes_a_taken_place(trials[2], trials, 2, retries=1)


@pytest.mark.parametrize(
    ("trials", "row"),
    [
        ([], []),
        ([trial(0), failed(1), failed(2)], [2, 1]),
        ([failed(0), failed(1), trial(2)], []),
        ([failed(0), trial(1, TrialState.PRUNED), failed(2)], [2]),
        ([trial(0), failed(1), lost(2), surplus(3), failed(4)], [4, 1]),
        ([failed(0), trial(1, TrialState.RUNNING), trial(2, TrialState.WAITING)], [0]),
        # The order in which they ended, not that in which they began.
        ([failed(0), trial(1, minutes=5), failed(2, minutes=3), failed(3, minutes=9)], [3]),
        ([trial(0), failed(1, minutes=9), trial(2, minutes=4), failed(3, minutes=7)], [1, 3]),
    ],
)
def test_failures_in_a_row_go_back_to_the_last_trial_that_had_an_outcome(
    trials: list[FrozenTrial], row: list[int]
) -> None:
    assert numbers(trial_attrs.failures_in_a_row(trials)) == row


# --- many launches at once --------------------------------------------------------------------------------------


@dataclass
class Launch:
    """A launch with one worker, as far as it is told by the ledger."""

    running: int | None = None
    """The trial that it asked for and runs."""
    asked: int | None = None
    """The trial that it asked for and has not looked at yet."""
    seen: list[FrozenTrial] | None = None
    """What it saw of the study when it looked for lost trials, until it queues them."""
    done: bool = False


@dataclass
class World:
    """A study that several launches share; each of their steps sees the study as it is, and others come between."""

    total: int
    retries: int
    rng: random.Random
    trials: list[FrozenTrial] = field(default_factory=list)
    clock: int = 0

    def add(self, state: TrialState, **attributes: Any) -> None:
        self.trials.append(trial(len(self.trials), state, **attributes))

    def end(self, number: int, state: TrialState, **attributes: Any) -> None:
        self.clock += 1
        old = self.trials[number]
        assert old.state == TrialState.RUNNING
        self.trials[number] = trial(number, state, self.clock, **{**old.user_attrs, **attributes})

    def look(self) -> list[FrozenTrial]:
        return list(self.trials)

    def step(self, launch: Launch) -> None:
        """One step of a launch, as ``Search`` takes it."""
        if launch.seen is not None:
            for gone in trial_attrs.without_successor(launch.seen, self.retries):
                attempt = gone.user_attrs.get(trial_attrs.ATTEMPT, 0) + 1
                origin = gone.user_attrs[trial_attrs.ORIGIN]
                self.add(
                    TrialState.WAITING,
                    **{trial_attrs.ORIGIN: origin, trial_attrs.RETRY_OF: gone.number, trial_attrs.ATTEMPT: attempt},
                )
            launch.seen = None
        elif launch.asked is not None:
            number, launch.asked = launch.asked, None
            if trial_attrs.takes_a_taken_place(self.trials[number], self.look(), self.total, self.retries):
                self.end(number, TrialState.FAIL, **{trial_attrs.SURPLUS: True})
            else:
                launch.running = number
        elif launch.running is not None:
            outcome = self.rng.choice(["finish", "fail", "prune", "lose", "train"])
            if outcome == "train":
                return
            number, launch.running = launch.running, None
            if outcome == "lose":
                self.end(number, TrialState.FAIL, **{trial_attrs.LOST: True})
                launch.seen = self.look()
            else:
                states = {"finish": TrialState.COMPLETE, "fail": TrialState.FAIL, "prune": TrialState.PRUNED}
                self.end(number, states[outcome])
        elif self.rng.random() < 0.2:
            launch.seen = self.look()
        else:
            self.ask(launch)

    def ask(self, launch: Launch) -> None:
        trials = self.look()
        waiting = [one.number for one in trials if one.state == TrialState.WAITING]
        if waiting:
            old = self.trials[waiting[0]]
            self.trials[waiting[0]] = trial(old.number, TrialState.RUNNING, **old.user_attrs)
            launch.asked = waiting[0]
        elif len(trial_attrs.counted(trials, self.retries)) < self.total:
            self.add(TrialState.RUNNING, **{trial_attrs.ORIGIN: "sampled"})
            launch.asked = len(self.trials) - 1
        elif not any(one.state == TrialState.RUNNING for one in trials):
            launch.done = not trial_attrs.without_successor(trials, self.retries)

    def kill(self, launch: Launch) -> None:
        """The launch is gone; its trial shows no sign of life, and somebody marks it as lost."""
        if launch.running is not None:
            self.end(launch.running, TrialState.FAIL, **{trial_attrs.LOST: True})
        launch.running = launch.seen = None


def history(rng: random.Random) -> World:
    """A study from its first to its last trial."""
    world = World(rng.randint(1, 6), rng.randint(0, 3), rng)
    launches = [Launch() for _ in range(rng.randint(1, 3))]
    for _ in launches[: rng.randint(1, len(launches))]:  # several may think that they came first
        world.add(TrialState.WAITING, **{trial_attrs.ORIGIN: "base"})
    for _ in steps():
        alive = [launch for launch in launches if not launch.done]
        if not alive:
            return world
        launch = rng.choice(alive)
        if launch.asked is None and rng.random() < 0.1:
            world.kill(launch)
        else:
            world.step(launch)
    raise AssertionError("the study never ends")


def steps() -> Iterator[int]:
    return iter(range(5000))


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=200)
def test_every_trial_of_every_history_is_accounted_for(seed: int) -> None:
    world = history(random.Random(seed))
    trials, retries = world.trials, world.retries
    counted = trial_attrs.counted(trials, retries)
    dropped = [one for one in trials if trial_attrs.is_surplus(one)]
    superseded = [
        one for one in trials if trial_attrs.is_lost(one) and one.user_attrs.get(trial_attrs.ATTEMPT, 0) < retries
    ]
    assert sorted(numbers(counted + dropped + superseded)) == numbers(trials)
    assert len(counted) == world.total
    assert all(one.state.is_finished() for one in trials)
    # Every lost trial is run again, once.
    followers = Counter(
        one.user_attrs[trial_attrs.RETRY_OF]
        for one in trials
        if trial_attrs.RETRY_OF in one.user_attrs and one not in dropped
    )
    assert followers == dict.fromkeys(numbers(superseded), 1)
    # The base and what took its place are one chain.
    assert sum(one.user_attrs[trial_attrs.ORIGIN] == "base" for one in counted) == 1
    assert max(one.user_attrs.get(trial_attrs.ATTEMPT, 0) for one in trials) <= retries
    assert not trial_attrs.without_successor(trials, retries)


def test_the_histories_hold_what_they_are_to_test() -> None:
    worlds = [history(random.Random(seed)) for seed in range(60)]
    trials = [one for world in worlds for one in world.trials]
    assert sum(map(trial_attrs.is_lost, trials)) > 20
    assert sum(map(trial_attrs.is_surplus, trials)) > 20
    assert any(trial_attrs.is_surplus(one) and trial_attrs.RETRY_OF in one.user_attrs for one in trials)
    assert any(one.user_attrs.get(trial_attrs.ATTEMPT, 0) > 1 for one in trials)
    assert {one.state for one in trials} == {TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED}
