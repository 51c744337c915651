from __future__ import annotations

import pytest

from multitask.progress import RunningTrial, SweepStatus
from multitask.reporting.study.text import (
    best_text,
    clock_text,
    counts_text,
    heads_that_fit,
    metric_heading,
    seconds_left,
    short_names,
    time_text,
    value_text,
)


def view(**more):
    return SweepStatus("demo", ("joint.macro_f1",), **more)


def running(*started):
    return {worker: RunningTrial(f"trial {worker}", 8, {}, started=moment) for worker, moment in enumerate(started)}


class TestShortNames:
    def test_keep_the_last_part_where_it_tells(self):
        assert short_names(["augment.strength", "training.lr"]) == {"augment.strength": "strength", "training.lr": "lr"}

    def test_keep_as_many_parts_as_tell_them_apart(self):
        keys = ["heads.age.weight", "heads.mask.weight", "heads.age.loss.gamma", "heads.mask.loss.gamma"]
        assert list(short_names(keys).values()) == ["age.weight", "mask.weight", "age.loss.gamma", "mask.loss.gamma"]

    def test_a_key_that_ends_another_is_itself(self):
        assert short_names(["weight", "heads.weight"]) == {"weight": "weight", "heads.weight": "heads.weight"}

    def test_a_variant_is_called_by_the_key_that_holds_it(self):
        names = short_names(["heads.age.loss.name", "balancer.name"])
        assert list(names.values()) == ["loss", "balancer"]

    def test_keep_more_parts_where_there_is_room(self):
        assert list(short_names(["augment.mix.mixup.alpha", "seed"], least=2).values()) == ["mixup.alpha", "seed"]

    def test_no_two_are_the_same(self):
        keys = ["a.b.c", "b.c", "c", "x.b.c", "x.c", "x.name", "name"]
        assert len(set(short_names(keys).values())) == len(keys)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.31234, "0.312"), (1.0, "1"), (0.0000123456, "1.23e-05"), (12, "12"), (True, "true"), (None, "null"),
        ("cross_entropy", "cross_entropy"), ((0.25, 1), "[0.25, 1]"), ("a\nb", "a b"), ("", "''"),
    ],
)  # fmt: skip
def test_value_text(value, text):
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (725, "12 min"), (3599, "1 h"),
        (12000, "3 h 20 min"), (2 * 86400 + 4 * 3600, "2 d 4 h"),
    ],
)  # fmt: skip
def test_time_text(seconds, text):
    assert time_text(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0:00"), (65.9, "1:05"), (3599, "59:59"), (3725, "1:02:05")])
def test_clock_text(seconds, text):
    assert clock_text(seconds) == text


@pytest.mark.parametrize(
    ("metric", "heading"),
    [("joint.macro_f1", "joint"), ("tasks.age.macro_f1", "age"), ("tasks.age.loss", "age.loss")],
)
def test_metric_heading(metric, heading):
    assert metric_heading(metric) == heading


class TestHeadsThatFit:
    def test_all_where_there_is_room(self):
        assert heads_that_fit(["mask", "gender"], 15) == {"mask": ("mask", 5), "gender": ("gender", 6)}

    def test_the_first_ones_where_there_is_not(self):
        assert list(heads_that_fit(["mask", "gender", "a"], 14)) == ["mask"]

    def test_none(self):
        assert heads_that_fit(["mask"], -5) == {}

    def test_long_names_that_end_alike_or_begin_alike_stay_apart(self):
        headings = [heading for heading, _ in heads_that_fit(["colour_of_left_side", "colour_of_roof"], 80).values()]
        assert len(set(headings)) == 2
        assert max(map(len, headings)) == 9


class TestSecondsLeft:
    def test_nothing_tells(self):
        assert seconds_left(view(), 0) is None
        assert seconds_left(view(total=10), 0) is None
        assert seconds_left(view(mean_seconds=3.0), 0) is None

    def test_trials_that_wait_and_run(self):
        # One runs 4 of its 10 s more, then two wait.
        study = view(total=10, finished=4, pruned=2, failed=1, mean_seconds=10.0, running=running(94))
        assert seconds_left(study, 100) == 4 + 20

    def test_workers_share_what_waits(self):
        study = view(total=8, mean_seconds=10.0, num_workers=2, running=running(94, 98))
        assert seconds_left(study, 100) == 8 + 30

    def test_the_worker_that_is_free_first_takes_the_next(self):
        study = view(total=3, mean_seconds=10.0, num_workers=2, running=running(98, 94))
        assert seconds_left(study, 100) == 4 + 10

    def test_a_last_odd_trial_takes_as_long_as_any(self):
        assert seconds_left(view(total=3, mean_seconds=10.0, num_workers=2), 100) == 20
        assert seconds_left(view(total=1, mean_seconds=10.0, num_workers=8), 100) == 10

    def test_a_trial_that_takes_longer_than_most_is_about_to_end(self):
        assert seconds_left(view(total=1, mean_seconds=10.0, running=running(0)), 100) == 0

    def test_the_deadline_where_it_is_sooner(self):
        study = view(total=100, mean_seconds=10.0, deadline=160.0)
        assert seconds_left(study, 100) == 60
        study.total = 3
        assert seconds_left(study, 100) == 30
        study.total = None
        assert seconds_left(study, 100) == 60
        assert seconds_left(study, 200) == 0

    def test_a_study_that_confirms_has_no_deadline(self):
        assert seconds_left(view(total=3, mean_seconds=10.0, deadline=50.0, phase="confirming"), 100) == 30

    def test_a_study_of_no_workers(self):
        assert seconds_left(view(total=3, mean_seconds=10.0, num_workers=0), 100) == 0


class TestBest:
    def test_whose_it_is_and_since_when(self):
        assert best_text(view(best=0.512, best_trial=7, best_since=100.0), 280) == "best .512, trial 7, 3 min ago"

    def test_of_an_earlier_launch(self):
        assert best_text(view(best=0.512, best_trial=7), 280) == "best .512, trial 7, in an earlier launch"

    def test_none_yet(self):
        assert best_text(view(), 0) == "no trial has a score yet"

    def test_of_several_objectives_it_is_a_front(self):
        study = SweepStatus("demo", ("tasks.age.macro_f1", "tasks.mask.macro_f1"), front=4)
        assert best_text(study, 0) == "front of 4 trials"
        study.front = 0
        assert best_text(study, 0) == "no trial has a score yet"

    def test_of_runs_that_confirm_there_is_none(self):
        assert best_text(view(phase="confirming"), 0) == ""


def test_counts_name_what_was_queued_again_only_if_there_is_any():
    study = view(finished=12, pruned=5, failed=1)
    assert counts_text(study) == "12 finished, 5 pruned, 1 failed"
    study.retried = 2
    assert counts_text(study) == "12 finished, 5 pruned, 1 failed, 2 queued again"


def test_counts_of_a_study_that_confirms_are_of_runs():
    assert counts_text(view(phase="confirming", finished=1)) == "1 run done"


def test_a_bake_off_counts_runs_and_those_that_failed():
    assert counts_text(view(phase="comparing", finished=1)) == "1 run done"
    assert counts_text(view(phase="comparing", finished=2, failed=1)) == "2 runs done, 1 failed"
    assert best_text(view(phase="comparing", best=0.5), 0.0) == ""
