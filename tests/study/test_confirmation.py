"""Which trials are run again, and how: with fresh seeds, on folds of groups who are the same for all."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from optuna.study import Study
from optuna.trial import TrialState, create_trial

from multitask.config import Config
from multitask.errors import UserError
from multitask.runs.data_module import DataModule
from multitask.settings import flatten
from multitask.study import trial_attrs
from multitask.study.confirmation import Candidate, Confirmation, candidates, num_folds
from multitask.study.folder import StudyFolder
from multitask.study.interrupt import Interrupt
from multitask.study.messages import Failed, Job, Warned
from multitask.study.settings import Plan

MakePlan = Callable[..., Plan]
MakeStudy = Callable[..., Study]

LR = "training.lr"


@pytest.fixture
def plan(make_plan: MakePlan) -> Plan:
    return make_plan()


# --- which ------------------------------------------------------------------------------------------------------


def add(
    study: Study,
    plan: Plan,
    *values: float,
    lr: float = 1e-3,
    state: TrialState = TrialState.COMPLETE,
    base: bool = False,
    **attributes: Any,
) -> int:
    """A trial that tried a learning rate and ended like this; its number."""
    drawn = plan.space.distributions()
    params = plan.space.base_params()[0] if base else {"weight_ratio.gender": 2.0, "weight_ratio.age": 2.0, LR: lr}
    changes = {} if base else {LR: lr, "heads.mask.weight": 0.6, "heads.gender.weight": 1.2, "heads.age.weight": 1.2}
    study.add_trial(
        create_trial(
            state=state,
            values=values if state == TrialState.COMPLETE else None,
            params=params,
            distributions={name: drawn[name] for name in params},
            user_attrs={trial_attrs.ORIGIN: "base" if base else "sampled", trial_attrs.CHANGES: changes, **attributes},
        )
    )
    return len(study.trials) - 1


def chosen(study: Study, best: int) -> list[tuple[int, float | None]]:
    return [(candidate.number, candidate.study_score) for candidate in candidates(study, best)]


@pytest.fixture
def study(plan: Plan, make_study: MakeStudy) -> Study:
    """The base and five trials that finished, beside some that did not."""
    study = make_study(plan)
    add(study, plan, 0.5, base=True)
    for place, score in enumerate((0.4, 0.7, 0.6, 0.7, 0.65), 1):
        add(study, plan, score, lr=place * 1e-3)
    add(study, plan, state=TrialState.PRUNED, lr=7e-3)
    add(study, plan, state=TrialState.FAIL, lr=8e-3)
    add(study, plan, state=TrialState.RUNNING, lr=9e-3)
    return study


@pytest.mark.parametrize(
    ("best", "numbers"), [(1, [0, 2]), (2, [0, 2, 4]), (3, [0, 2, 4, 5]), (99, [0, 2, 4, 5, 3, 1])]
)
def test_the_base_and_the_best_are_run_again(best: int, numbers: list[int], study: Study) -> None:
    found = candidates(study, best)
    assert [candidate.number for candidate in found] == numbers
    assert [candidate.is_base for candidate in found] == [number == 0 for number in numbers]
    assert [candidate.study_score for candidate in found] == [study.trials[number].value for number in numbers]
    assert [candidate.changes for candidate in found] == [
        study.trials[number].user_attrs[trial_attrs.CHANGES] for number in numbers
    ]


def test_the_lowest_are_the_best_where_less_is_better(make_plan: MakePlan, make_study: MakeStudy) -> None:
    plan = make_plan(objective="joint.ece", pruner="none")
    study = make_study(plan)
    add(study, plan, 0.2, base=True)
    for place, value in enumerate((0.3, 0.1, 0.15), 1):
        add(study, plan, value, lr=place * 1e-3)
    assert chosen(study, 2) == [(0, 0.2), (2, 0.1), (3, 0.15)]


def test_what_tried_the_same_as_another_or_as_the_base_is_not_run_twice(plan: Plan, make_study: MakeStudy) -> None:
    study = make_study(plan)
    add(study, plan, 0.5, base=True)
    add(study, plan, 0.7, lr=2e-3)
    add(study, plan, 0.8, lr=2e-3)
    add(study, plan, 0.6, lr=3e-3)
    base_params, outside = plan.space.base_params()
    assert not outside
    same = create_trial(
        value=0.9,
        params=base_params,
        distributions={name: plan.space.distributions()[name] for name in base_params},
        user_attrs={trial_attrs.ORIGIN: "sampled", trial_attrs.CHANGES: {LR: 1e-3, "heads.mask.weight": 1.0}},
    )
    study.add_trial(same)
    assert chosen(study, 9) == [(0, 0.5), (2, 0.8), (3, 0.6)]


def test_a_base_that_was_lost_is_the_one_that_took_its_place(plan: Plan, make_study: MakeStudy) -> None:
    study = make_study(plan)
    add(study, plan, base=True, state=TrialState.FAIL, **{trial_attrs.LOST: True})
    add(study, plan, 0.7)
    add(study, plan, 0.5, base=True, **{trial_attrs.RETRY_OF: 0})
    assert chosen(study, 1) == [(2, 0.5), (1, 0.7)]


def test_without_a_score_of_the_base_or_of_another_there_is_nothing_to_compare(
    plan: Plan, make_study: MakeStudy
) -> None:
    study = make_study(plan)
    add(study, plan, base=True, state=TrialState.FAIL)
    add(study, plan, 0.7)
    with pytest.raises(UserError, match=r"^--confirm: the base \(trial 0\) has no score to compare with$"):
        candidates(study, 1)
    study = make_study(plan)
    add(study, plan, 0.7, base=True)
    add(study, plan, state=TrialState.PRUNED)
    with pytest.raises(UserError, match=r"^--confirm: no trial beside the base has a score$"):
        candidates(study, 1)


def test_with_several_objectives_those_on_the_front_go_first(make_plan: MakePlan, make_study: MakeStudy) -> None:
    plan = make_plan(objective=["joint.macro_f1", "joint.ece"])
    study = make_study(plan)
    add(study, plan, 0.5, 0.1, base=True)
    for place, values in enumerate(((0.69, 0.4), (0.7, 0.3), (0.6, 0.2), (0.4, 0.05)), 1):
        add(study, plan, *values, lr=place * 1e-3)
    assert chosen(study, 4) == [(0, 0.5), (2, 0.7), (3, 0.6), (4, 0.4), (1, 0.69)]


# --- how --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "seeds", "folds"),
    [
        ({"data.val_fraction": 0.2}, 3, 5),
        ({"data.val_fraction": 0.2}, 5, 5),
        ({"data.val_fraction": 0.2}, 7, 7),
        ({"data.val_fraction": 0.3}, 1, 3),
        ({"data.val_fraction": 0.5}, 1, 2),
        ({"data.val_fraction": 0.9}, 1, 2),
        ({"data.val_fraction": 0.2, "data.folds": 4, "data.fold": 3}, 2, 4),
        ({"data.val_fraction": 0.2, "data.folds": 4}, 6, 6),
    ],
)
def test_folds_are_of_the_size_that_validates_and_one_for_every_seed(
    base: dict[str, Any], seeds: int, folds: int, tiny: Callable[..., Config]
) -> None:
    assert num_folds(tiny(base).data, seeds) == folds


CHOSEN = [
    Candidate(0, 0.5, {}, is_base=True),
    Candidate(4, 0.7, {LR: 4e-3, "heads.mask.weight": 0.6, "heads.gender.weight": 1.2, "heads.age.weight": 1.2}),
    Candidate(2, 0.6, {LR: 2e-3}),
]


def confirmation(plan: Plan, tmp_path: Path, seeds: int) -> Confirmation:
    return Confirmation(plan, StudyFolder(tmp_path / "study"), CHOSEN, seeds)


def test_every_candidate_is_run_once_for_every_seed_and_seed_by_seed(plan: Plan, tmp_path: Path) -> None:
    found = confirmation(plan, tmp_path, 3)
    assert [run.name for run in found.runs] == [
        f"{name}, seed {seed}" for seed in (1, 2, 3) for name in ("base", "trial 4", "trial 2")
    ]
    paths = [run.folder.path for run in found.runs]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(tmp_path / "study" / "confirm") for path in paths)


@pytest.mark.parametrize(
    "base", [{}, {"seed": 7, "data.split_seed": 3}, {"data.val_fraction": 0.2, "data.folds": 4, "data.fold": 2}]
)
def test_runs_differ_from_their_trials_in_seed_and_groups_alone(
    base: dict[str, Any], make_plan: MakePlan, tmp_path: Path
) -> None:
    plan = make_plan(None, base)
    fresh = {"seed", "data.split_seed", "data.val_fraction", "data.folds", "data.fold"}
    for run in confirmation(plan, tmp_path, 2).runs:
        trial = flatten(plan.space.config(run.candidate.changes).model_dump(mode="json"))
        again = flatten(run.config.model_dump(mode="json"))
        assert trial.keys() == again.keys()
        assert {key for key in trial if trial[key] != again[key]} <= fresh


def test_seeds_are_fresh_and_the_same_for_all_candidates(make_plan: MakePlan, tmp_path: Path) -> None:
    seeds: dict[int, set[int]] = {}
    for study_seed in (0, 1):
        plan = make_plan(seed=study_seed)
        for run in confirmation(plan, tmp_path, 4).runs:
            seeds.setdefault(10 * study_seed + run.index, set()).add(run.config.seed)
        assert {run.config.data.split_seed for run in confirmation(plan, tmp_path, 4).runs}.isdisjoint({0, None})
    assert all(len(found) == 1 for found in seeds.values())
    assert len({seed for found in seeds.values() for seed in found} | {0}) == 9


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_no_group_validates_twice_and_all_candidates_are_judged_on_the_same_groups(
    seeds: int, plan: Plan, tmp_path: Path
) -> None:
    groups: dict[int, list[set[str]]] = {}
    all_groups: set[str] = set()
    for run in confirmation(plan, tmp_path, seeds).runs:
        data = DataModule(run.config)
        train, val = (set(data.samples.groups[side]) for side in (data.split.train, data.split.val))
        assert val
        assert not train & val
        all_groups = train | val
        groups.setdefault(run.index, []).append(val)
    for same in groups.values():
        assert len(same) == len(CHOSEN)
        assert all(val == same[0] for val in same)
    folds = [same[0] for same in groups.values()]
    assert sum(map(len, folds)) == len(set().union(*folds))
    if seeds >= num_folds(plan.base.data, seeds):
        assert set().union(*folds) == all_groups


def test_the_groups_are_dealt_anew(plan: Plan, tmp_path: Path) -> None:
    judged = DataModule(plan.base).split.val.tolist()
    assert all(DataModule(run.config).split.val.tolist() != judged for run in confirmation(plan, tmp_path, 3).runs)


def test_settings_that_do_not_go_together_are_one_line(plan: Plan, tmp_path: Path) -> None:
    wrong = [CHOSEN[0], Candidate(3, 0.5, {"augment.strength": 3.0})]
    with pytest.raises(UserError, match=r"^augment\.strength: input should be less than or equal to 1, found 3\.0$"):
        Confirmation(plan, StudyFolder(tmp_path), wrong, 1)


def test_a_run_is_done_when_a_run_of_exactly_its_settings_has_its_report(plan: Plan, tmp_path: Path) -> None:
    found = confirmation(plan, tmp_path, 2)
    run, other = found.runs[1], found.runs[2]
    assert not run.is_done()
    run.folder.path.mkdir(parents=True)
    run.folder.report().write_text("{}")
    assert not run.is_done()
    run.folder.config.write_text(run.config.to_yaml())
    assert run.is_done()
    assert [again.is_done() for again in confirmation(plan, tmp_path, 2).runs] == [False, True, *[False] * 4]
    run.folder.config.write_text(other.config.to_yaml())
    assert not run.is_done()
    run.folder.config.write_text("seed: [")
    assert not run.is_done()
    run.folder.config.write_text(run.config.to_yaml())
    run.folder.report().unlink()
    assert not run.is_done()


def test_with_more_seeds_the_groups_are_dealt_into_more_folds_and_nothing_is_taken_for_done(
    plan: Plan, tmp_path: Path
) -> None:
    for run in confirmation(plan, tmp_path, 2).runs:
        run.folder.path.mkdir(parents=True)
        run.folder.config.write_text(run.config.to_yaml())
        run.folder.report().write_text("{}")
    assert all(run.is_done() for run in confirmation(plan, tmp_path, 2).runs)
    assert num_folds(plan.base.data, 2) == num_folds(plan.base.data, 3) == 3
    assert [run.is_done() for run in confirmation(plan, tmp_path, 3).runs] == [True] * 6 + [False] * 3
    assert not any(run.is_done() for run in confirmation(plan, tmp_path, 4).runs)


def test_a_warning_of_a_run_names_it(study: Study, plan: Plan, tmp_path: Path, stage: Any, watcher: Any) -> None:
    def part(job: Job) -> Generator[Any, bool, Any]:
        yield Warned("tracking: mlflow failed")
        return Failed("no more")

    confirmation = Confirmation(plan, StudyFolder(tmp_path), candidates(study, 1), 2)
    with pytest.raises(UserError, match="no more"):
        confirmation.run(stage(part, 1), watcher, Interrupt())
    assert watcher.told("warned") == [f"{confirmation.runs[0].name}: tracking: mlflow failed"]
