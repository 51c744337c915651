"""The points of a space: the base, what a trial is told, and the config that it becomes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import TrialState, create_trial

from multitask.errors import UserError
from multitask.settings import flatten
from multitask.study.settings import Plan
from multitask.study.space import Space
from tests.study.spaces import GAMMA, HEADS, LOSSES, LR, STRENGTH, MakeSpace, Told

MakePlan = Callable[..., Plan]


def test_the_base_is_a_point_of_the_space(space_of: MakeSpace) -> None:
    space = space_of(
        {
            "heads": "head_weights",
            "augment.strength": STRENGTH,
            "training.batch_size": {"kind": "int", "low": 8, "high": 32, "log": True},
            "heads.age.loss.name": LOSSES,
            "heads.age.loss.gamma": {**GAMMA, "when": {"heads.age.loss.name": "focal"}},
        },
        {"heads.age.weight": 2.0},
    )
    assert space.base_params() == (
        {
            "weight_ratio.gender": 1.0,
            "weight_ratio.age": 2.0,
            "augment.strength": 0.3,
            "training.batch_size": 16,
            "heads.age.loss.name": "cross_entropy",
        },
        [],
    )


def test_entries_that_the_base_is_outside_of_are_named(space_of: MakeSpace) -> None:
    space = space_of(
        {
            "heads": {"kind": "head_weights", "low": 0.5, "high": 2.0},
            "augment.strength": {"low": 0.4, "high": 0.8},
            "training.optimizer.weight_decay": {"low": 1e-4, "high": 0.1, "log": True},
            "training.lr": LR,
            "training.clip_norm": {"low": 1, "high": 10},
        },
        {"heads.mask.weight": 0, "training.optimizer.weight_decay": 0, "training.clip_norm": None},
    )
    outside = ["heads", "augment.strength", "training.optimizer.weight_decay", "training.clip_norm"]
    assert space.base_params() == ({"training.lr": 1e-3}, outside)


def test_the_base_with_its_own_parameters_is_the_base(space_of: MakeSpace) -> None:
    space = space_of({"heads": "head_weights", "training.lr": LR, "heads.*.loss.name": LOSSES})
    params, outside = space.base_params()
    assert not outside
    assert space.config(space.suggest(Told(**params))) == space.base


def test_whether_trials_change_the_heads_weights(space_of: MakeSpace) -> None:
    assert space_of({"heads": "head_weights"}).has_weights
    assert not space_of({"heads.*.weight": {"low": 0.5, "high": 2}}).has_weights


WIDE = {
    "heads": "head_weights",
    "augment.strength": {"low": 0.0, "high": 0.8, "step": 0.2},
    "training.lr": LR,
    "training.batch_size": {"kind": "int", "low": 8, "high": 32, "step": 8},
    "training.epochs": {"kind": "int", "low": 1, "high": 8, "log": True},
    "training.patience": {"kind": "categorical", "choices": [None, 3]},
    "heads.*.loss.name": LOSSES,
    "heads.*.loss.gamma": {**GAMMA, "when": {"heads.*.loss.name": "focal"}},
}


def test_every_parameter_is_told_as_what_it_is_drawn_from(space_of: MakeSpace) -> None:
    assert space_of(WIDE).distributions() == {
        "weight_ratio.gender": FloatDistribution(0.2, 5.0, log=True),
        "weight_ratio.age": FloatDistribution(0.2, 5.0, log=True),
        "augment.strength": FloatDistribution(0.0, 0.8, step=0.2),
        "training.lr": FloatDistribution(1e-4, 1e-2, log=True),
        "training.batch_size": IntDistribution(8, 32, step=8),
        "training.epochs": IntDistribution(1, 8, log=True),
        "training.patience": CategoricalDistribution((None, 3)),
        **{f"heads.{head}.loss.name": CategoricalDistribution(("cross_entropy", "focal")) for head in HEADS},
        **{f"heads.{head}.loss.gamma": FloatDistribution(0.5, 3.0) for head in HEADS},
    }


def test_optunas_trials_are_told_of_all_that_they_try_and_of_nothing_else(
    make_plan: MakePlan, make_study: Callable[[Plan], Study]
) -> None:
    plan = make_plan(WIDE, sampler="random", seed=5)
    study = make_study(plan)
    for _ in range(12):
        trial = study.ask()
        changes = plan.space.suggest(trial)
        assert {name: trial.distributions[name] for name in trial.params} == {
            name: plan.space.distributions()[name] for name in trial.params
        }
        focal = [head for head in HEADS if changes[f"heads.{head}.loss.name"] == "focal"]
        assert [name for name in trial.params if name.endswith("gamma")] == [f"heads.{h}.loss.gamma" for h in focal]
        assert math.fsum(changes[f"heads.{head}.weight"] for head in HEADS) == pytest.approx(3)
        assert trial.params["weight_ratio.age"] == pytest.approx(
            changes["heads.age.weight"] / changes["heads.mask.weight"]
        )
        flat = flatten(plan.space.config(changes).model_dump(mode="json"))
        assert {key: flat[key] for key in changes} == changes
        study.tell(trial, 0.5)
    assert len({str(trial.params) for trial in study.trials}) == 12


def test_a_trial_whose_parameters_are_set_keeps_them(make_plan: MakePlan, make_study: Callable[[Plan], Study]) -> None:
    plan = make_plan(WIDE)
    first = make_study(plan)
    drawn = first.ask()
    changes = plan.space.suggest(drawn)
    again = make_study(make_plan(WIDE, seed=9))
    again.ask()
    kept = create_trial(state=TrialState.WAITING, params=drawn.params, distributions=drawn.distributions)
    again.add_trial(kept)
    trial = again.ask()
    assert plan.space.suggest(trial) == changes
    assert trial.params == drawn.params


def test_a_trial_that_was_lost_half_way_keeps_the_half_that_it_had(
    make_plan: MakePlan, make_study: Callable[[Plan], Study]
) -> None:
    plan = make_plan(WIDE)
    study = make_study(plan)
    params = {"weight_ratio.gender": 0.7, "augment.strength": 0.4}
    distributions = {name: plan.space.distributions()[name] for name in params}
    study.add_trial(create_trial(state=TrialState.WAITING, params=params, distributions=distributions))
    trial = study.ask()
    changes = plan.space.suggest(trial)
    assert changes["augment.strength"] == 0.4
    assert changes["heads.gender.weight"] / changes["heads.mask.weight"] == pytest.approx(0.7)
    assert set(trial.params) >= {"weight_ratio.age", "training.lr", "heads.age.loss.name"}


@pytest.fixture(scope="module")
def wide(space_of: MakeSpace) -> Space:
    return space_of(WIDE)


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_whatever_is_drawn_makes_a_valid_config(wide: Space, data: st.DataObject) -> None:
    drawn = {}
    for name, distribution in wide.distributions().items():
        if isinstance(distribution, CategoricalDistribution):
            drawn[name] = data.draw(st.sampled_from(distribution.choices))
        else:
            assert isinstance(distribution, FloatDistribution | IntDistribution)
            low, high, step = distribution.low, distribution.high, distribution.step
            if step is not None:
                drawn[name] = low + step * data.draw(st.integers(0, round((high - low) / step)))
            else:
                drawn[name] = data.draw(st.floats(low, high))
    config = wide.config(wide.suggest(Told(**drawn)))
    assert config.training.epochs == drawn["training.epochs"]
    weights = [head.weight for head in config.heads.values()]
    assert min(weights) > 0
    assert math.fsum(weights) == pytest.approx(3)


def test_settings_that_do_not_go_together_are_one_line(space_of: MakeSpace) -> None:
    with pytest.raises(UserError, match=r"^augment\.mix: mixup_prob and cutmix_prob must be at most 1 together"):
        space_of({"training.lr": LR}).config({"augment.mix.mixup_prob": 0.7, "augment.mix.cutmix_prob": 0.6})
