from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from optuna.study import Study

import multitask
from multitask.errors import UserError
from multitask.settings import validate
from multitask.study import space
from multitask.study.provenance import FORMAT, RECORD, changed_since, check_record, record_of
from multitask.study.settings import Plan, StudySettings
from multitask.utils.files import to_json

MakePlan = Callable[..., Plan]
MakeStudy = Callable[..., Study]

SPACE: dict[str, Any] = {
    "heads": "head_weights",
    "training.lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "augment.flip": {"kind": "categorical", "choices": [True, False]},
    "augment.strength": {"low": 0.0, "high": 0.8, "when": {"augment.flip": True}},
}
DATA = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The many study files of these tests are not checked as thoroughly as those that people write."""
    monkeypatch.setattr(space, "_NUM_DRAWS", 0)


def changes(make_plan: MakePlan, then: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two study files, the first one's record read back from where it was kept."""
    records = [record_of(make_plan(given.pop("space", SPACE), **given), DATA) for given in (dict(then), dict(now))]
    return changed_since(json.loads(to_json(records[0])), records[1])


def test_a_record_that_was_kept_is_the_same(make_plan: MakePlan) -> None:
    assert changes(make_plan, {}, {}) == {}
    several = {"objective": ["joint.macro_f1", "joint.ece"], "sampler": {"name": "nsga2", "population": 4}}
    assert changes(make_plan, several, several) == {}


@pytest.mark.parametrize(
    "now",
    [
        {"budget": {"trials": 99, "hours": 3}},
        {"workers": 4},
        {"heartbeat": {"interval_s": 1, "grace_s": 5}},
        {"retries": 9},
        {"stop_after_failures": 9},
        {"keep_checkpoints": True},
        {"base": {"data.workers": 3}},
        {"base": {"data.cache": "none"}},
        {"base": {"data.root": "/elsewhere/images"}},
        {"base": {"device": "cpu"}},
        {"base": {"tracking": ["csv"]}},
        # Written out, they are what was meant before.
        {"sampler": {"name": "tpe", "startup_trials": 10}},
        {"pruner": "median"},
        {"direction": "maximize"},
    ],
)
def test_what_is_the_machines_or_the_launchs_may_change(now: dict[str, Any], make_plan: MakePlan) -> None:
    assert changes(make_plan, {}, now) == {}


@pytest.mark.parametrize(
    ("now", "key", "then_value", "now_value"),
    [
        ({"seed": 3}, "seed", 0, 3),
        ({"sampler": "random"}, "sampler.name", "tpe", "random"),
        ({"sampler": {"startup_trials": 4}}, "sampler.startup_trials", 10, 4),
        ({"pruner": "none"}, "pruner.name", "median", "none"),
        ({"pruner": {"warmup_epochs": 0}}, "pruner.warmup_epochs", None, 0),
        ({"objective": "joint.accuracy"}, "objective", ["joint.macro_f1"], ["joint.accuracy"]),
        ({"direction": "minimize"}, "direction", ["maximize"], ["minimize"]),
        ({"base": {"training.epochs": 5}}, "base.training.epochs", 2, 5),
        ({"base": {"seed": 1}}, "base.seed", 0, 1),
        ({"base": {"heads.age.weight": 2}}, "base.heads.age.weight", 1.0, 2.0),
        ({"base": {"heads.age.loss.name": "focal"}}, "base.heads.age.loss.gamma", None, 2.0),
        ({"base": {"data.image_size": 32}}, "base.data.image_size", [32, 24], [32, 32]),
    ],
)
def test_what_decides_over_trials_and_scores_is_named(
    now: dict[str, Any], key: str, then_value: Any, now_value: Any, make_plan: MakePlan
) -> None:
    assert changes(make_plan, {}, now)[key] == (then_value, now_value)
    assert changes(make_plan, now, {})[key] == (now_value, then_value)


def test_entries_of_the_space_that_came_went_or_changed_are_named(make_plan: MakePlan) -> None:
    now = {
        "heads": {"kind": "head_weights", "high": 8.0},
        "training.lr": SPACE["training.lr"],
        "augment.flip": SPACE["augment.flip"],
        "augment.noise": {"low": 0, "high": 1},
    }
    found = changes(make_plan, {}, {"space": now})
    assert list(found) == ["space.heads", "space.augment.strength", "space.augment.noise"]
    assert [(then is None, new is None) for then, new in found.values()] == [(False,) * 2, (False, True), (True, False)]


def test_the_order_of_the_space_and_how_it_is_written_are_no_change(make_plan: MakePlan) -> None:
    assert changes(make_plan, {}, {"space": dict(reversed(SPACE.items()))}) == {}
    longer = {**SPACE, "training.lr": {"kind": "float", "low": 1e-4, "high": 0.01, "log": True, "when": {}}}
    assert changes(make_plan, {}, {"space": longer}) == {}


def test_other_data_are_named_by_the_beginning_of_their_fingerprint(make_plan: MakePlan) -> None:
    plan = make_plan()
    found = changed_since(record_of(plan, "a" * 64), record_of(plan, "b" * 64))
    assert found == {"the data's fingerprint": ("a" * 12, "b" * 12)}


def test_files_count_by_their_names_wherever_a_machine_keeps_them(
    make_plan: MakePlan, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = []
    for name in ("net.pth", "net.pth", "other.pth"):
        files.append(tmp_path_factory.mktemp("machine") / name)
        files[-1].touch()
    here, there, other = ({"base": {"model.backbone.weights": str(file)}} for file in files)
    assert changes(make_plan, here, there) == {}
    assert changes(make_plan, here, other) == {"base.model.backbone.weights": ("net.pth", "other.pth")}
    assert str(files[0].parent) not in to_json(record_of(make_plan(**here), DATA))


# --- a study that is there already ------------------------------------------------------------------------------


@pytest.fixture
def begun(make_plan: MakePlan, make_study: MakeStudy) -> Study:
    """A study with a few trials, and its record."""
    plan = make_plan(SPACE)
    study = make_study(plan)
    study.set_user_attr(RECORD, record_of(plan, DATA))
    for _ in range(3):
        trial = study.ask()
        plan.space.suggest(trial)
        study.tell(trial, 0.5)
    return study


def check(study: Study, plan: Plan, extend: bool = False, data: str = DATA) -> None:
    check_record(study, record_of(plan, data), plan, extend)


def refusal(study: Study, plan: Plan, extend: bool = False, data: str = DATA) -> str:
    before = study.user_attrs[RECORD]
    with pytest.raises(UserError) as caught:
        check(study, plan, extend, data)
    assert "\n" not in str(caught.value)
    assert study.user_attrs[RECORD] == before
    return str(caught.value)


@pytest.mark.parametrize("extend", [False, True])
def test_an_unchanged_file_goes_on(extend: bool, begun: Study, make_plan: MakePlan) -> None:
    check(begun, make_plan(SPACE), extend)
    check(begun, make_plan(SPACE, {"data.workers": 2}, workers=3, budget={"hours": 1}), extend)


@pytest.mark.parametrize("extend", [False, True])
@pytest.mark.parametrize(
    ("base", "more", "told"),
    [
        ({"training.epochs": 5}, {}, "base.training.epochs was 2, is 5"),
        ({}, {"objective": "joint.accuracy"}, "objective was ['joint.macro_f1'], is ['joint.accuracy']"),
        ({}, {"direction": "minimize"}, "direction was ['maximize'], is ['minimize']"),
    ],
)
def test_a_change_after_which_scores_do_not_compare_is_refused_also_with_extend(
    extend: bool, base: dict[str, Any], more: dict[str, Any], told: str, begun: Study, make_plan: MakePlan
) -> None:
    assert refusal(begun, make_plan(SPACE, base, **more), extend) == (
        f"test: changed since the study began, so that its scores would not compare: {told}; begin another with --out "
        "and another name"
    )


def test_other_data_are_refused_also_with_extend(begun: Study, make_plan: MakePlan) -> None:
    line = refusal(begun, make_plan(SPACE), extend=True, data="fedcba9876543210")
    assert "the data's fingerprint was '0123456789ab', is 'fedcba987654'" in line


@pytest.mark.parametrize(
    ("entries", "more", "told"),
    [
        ({}, {"seed": 3}, "seed was 0, is 3"),
        ({}, {"sampler": "random", "pruner": "none"}, "sampler.name was 'tpe', is 'random'"),
        ({"augment.noise": {"low": 0.0, "high": 1.0}}, {}, "space.augment.noise was None, is {"),
        ({"training.lr": {"low": 1e-5, "high": 1e-2, "log": True}}, {}, "space.training.lr was {"),
    ],
)
def test_a_change_of_what_is_tried_goes_on_with_extend(
    entries: dict[str, Any], more: dict[str, Any], told: str, begun: Study, make_plan: MakePlan
) -> None:
    plan = make_plan({**SPACE, **entries}, **more)
    line = refusal(begun, plan)
    assert line.startswith(f"test: changed since the study began: {told}")
    assert line.endswith("; go on nevertheless with --extend")
    check(begun, plan, extend=True)
    check(begun, plan)  # from here on it is what the study has
    trial = begun.ask()
    assert plan.space.suggest(trial)


def test_of_many_changes_three_are_told(begun: Study, make_plan: MakePlan) -> None:
    plan = make_plan({"augment.noise": {"low": 0.0, "high": 1.0}}, seed=3)
    assert "; and 3 more; go on nevertheless" in refusal(begun, plan)


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "categorical", "choices": [True]},
        {"kind": "categorical", "choices": [False, True]},
    ],
)
def test_what_the_storage_cannot_hold_beside_the_old_is_refused(
    entry: dict[str, Any], begun: Study, make_plan: MakePlan
) -> None:
    line = refusal(begun, make_plan({**SPACE, "augment.flip": entry}), extend=True)
    assert line.startswith("space.augment.flip: cannot be extended: ")


def test_a_study_of_another_version_or_of_somebody_else_is_refused(begun: Study, make_plan: MakePlan) -> None:
    plan = make_plan(SPACE)
    begun.set_user_attr(RECORD, {**record_of(plan, DATA), "format": FORMAT + 1, "version": "9.9"})
    assert refusal(begun, plan, extend=True) == (
        "test: was begun by multitask 9.9, whose studies are kept in another way; go on with that version, or begin "
        "another with --out"
    )
    for theirs in (None, "ours", {}, {"version": "1"}):
        begun.set_user_attr(RECORD, theirs)
        assert refusal(begun, plan, extend=True) == (
            "test: the storage has a study of this name that is none of ours; change the study's name"
        )


def test_a_record_says_what_made_it(make_plan: MakePlan) -> None:
    record = record_of(make_plan(), DATA)
    assert (record["format"], record["version"], record["data"]) == (FORMAT, multitask.__version__, DATA)
    assert json.loads(to_json(record)) == record


def test_every_setting_of_a_study_file_is_recorded_or_the_launchs() -> None:
    """A new one must be put in one of the two lists."""
    recorded = {"name", "base", "overrides", "objective", "direction", "sampler", "pruner", "seed", "space"}
    launchs = {"budget", "workers", "executor", "stop_after_failures", "retries", "heartbeat", "keep_checkpoints"}
    assert set(StudySettings.model_fields) == recorded | launchs
    assert validate(StudySettings, {"name": "x", "base": "y", "budget": {"hours": 1}, "space": SPACE})
