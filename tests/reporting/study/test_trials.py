from __future__ import annotations

import pytest

from multitask.reporting.study.trials import Objective, StudyTrials, finite, key_breaks
from tests.reporting.study.reports import study_report


def make_trial(number, state="finished", values=(0.5,), **more):
    trial = {"number": number, "state": state, "values": list(values) if values else None, "best_score": None}
    return trial | {"origin": "sampled", "weights": None} | more


def make_report(trials, directions=("maximize",), best=None, front=()):
    data = {
        "objectives": [{"metric": f"joint.m{place}", "direction": way} for place, way in enumerate(directions)],
        "tasks": ["mask", "age"],
        "importances": {"b": 0.9, "c": None},
        "params": [{"name": name} for name in "abc"],
        "best": best,
        "front": list(front),
        "trials": trials,
    }
    return study_report(data)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("joint.macro_f1", "joint macro-F1"),
        ("tasks.age.ece", "age ECE"),
        ("joint.accuracy", "joint accuracy"),
        ("attribution.lost.mask", "attribution lost mask"),
        ("tasks.age.classes.2.f1", "age classes 2 F1"),
    ],
)
def test_a_metric_is_named_as_people_say_it(metric, name):
    assert Objective(metric, True).name == name


def test_each_state_has_its_score():
    trials = [
        make_trial(0),
        make_trial(1, "pruned", None, best_score=0.25),
        make_trial(2, "failed", None, best_score=0.9),
        make_trial(3, "running", None, best_score=0.9),
        make_trial(4, values=[float("nan")]),
        make_trial(5, "waiting", None),
    ]
    study = StudyTrials(make_report(trials, best=0))
    assert [study.marks[number].score for number in range(6)] == [0.5, 0.25, None, None, None, None]
    assert [mark.number for mark, _ in study.scored] == [0, 1]
    assert study.bests == [0]


def test_with_several_objectives_a_pruned_trial_has_no_score():
    trials = [make_trial(0, values=[0.5, 0.1]), make_trial(1, "pruned", None, best_score=0.25)]
    study = StudyTrials(make_report(trials, ("maximize", "minimize"), front=[0]))
    assert [study.score(0, place) for place in range(2)] == [0.5, 0.1]
    assert study.score(1) is None
    assert study.bests == [0]


def test_settings_stand_by_importance_and_then_as_declared():
    assert list(StudyTrials(make_report([])).params) == ["b", "a", "c"]


def test_colours_span_the_finished_trials():
    trials = [make_trial(0, values=[0.5]), make_trial(1, values=[0.6]), make_trial(2, "pruned", None, best_score=0.1)]
    study = StudyTrials(make_report(trials))
    assert (study.scores.low, study.scores.high) == (0.1, 0.6)
    assert (study.colours.low, study.colours.high, study.colours.num_outside) == (0.5, 0.6, 1)


def test_trials_are_read_by_number_and_the_base_is_followed():
    trials = [
        make_trial(4, origin="retry of 2"),
        make_trial(0, "failed", None, origin="base"),
        make_trial(2, "failed", None, origin="retry of 0"),
        make_trial(3, origin="retry of 1"),
    ]
    study = StudyTrials(make_report(trials))
    assert list(study.trials) == [0, 2, 3, 4]
    assert study.base == 4
    assert StudyTrials(make_report([make_trial(1)])).base is None


def test_heads_are_named_tasks_first():
    trials = [make_trial(0, weights={"extra": 1.0, "age": 1.0}), make_trial(1, weights={"mask": 1.0})]
    assert StudyTrials(make_report(trials)).head_names == ["mask", "age", "extra"]


def test_keys_break_between_their_words_and_are_escaped():
    assert key_breaks("a.b_<c>") == "a.<wbr>b_<wbr>&lt;c&gt;"


@pytest.mark.parametrize(("value", "expected"), [(None, None), (float("nan"), None), (float("inf"), None), (0.0, 0.0)])
def test_what_is_no_number_is_none(value, expected):
    assert finite(value) == expected
