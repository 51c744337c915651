from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import TrialState, create_trial

from multitask.config import Config
from multitask.errors import UserError
from multitask.settings import Settings, flatten, validate
from multitask.settings.extensions import temporary_extensions
from multitask.study import ENTRIES
from multitask.study.parameters import AnyEntry, BaseValues, FloatEntry
from multitask.study.settings import Plan
from multitask.study.space import Space

MakeConfig = Callable[..., Config]
MakePlan = Callable[..., Plan]

HEADS = ("mask", "gender", "age")
LOSSES = {"kind": "categorical", "choices": ["cross_entropy", "focal"]}
GAMMA = {"low": 0.5, "high": 3.0}
STRENGTH = {"low": 0.0, "high": 0.8}


class Entries(Settings):
    space: dict[str, AnyEntry]


@pytest.fixture(scope="session")
def space_of(tiny: MakeConfig) -> Callable[..., Space]:
    """``space_of({path: entry}, {base setting: value})``."""

    def make(entries: dict[str, Any], base: dict[str, Any] | None = None) -> Space:
        return Space(validate(Entries, {"space": entries}).space, tiny(base))

    return make


MakeSpace = Callable[..., Space]


def refusal(space_of: MakeSpace, entries: dict[str, Any], base: dict[str, Any] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        space_of(entries, base)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Told:
    """A trial that is told what to try; everything else is the low end, or the first choice."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.asked: list[str] = []

    def _take(self, name: str, first: Any) -> Any:
        self.asked.append(name)
        return self.values.get(name, first)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        value: float = self._take(name, low)
        return value

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        value: int = self._take(name, low)
        return value

    def suggest_categorical(self, name: str, choices: tuple[Any, ...]) -> Any:
        return self._take(name, choices[0])


# --- paths ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("augment.strenght", "space.augment.strenght: unknown key; did you mean 'strength'?"),
        ("augmnet.strength", "space.augmnet: unknown key; did you mean 'augment'?"),
        ("strength", "space.strength: unknown key; it can be 'extensions', 'seed', "),
        ("heads.*.wieght", "space.heads.mask.wieght: unknown key; did you mean 'weight'?"),
        ("heads.age.loss.gama", "space.heads.age.loss.gama: unknown key (of 'cross_entropy'); "),
        (
            "heads.aeg.weight",
            "space.heads.aeg.weight: 0.0 makes a config that is refused: heads.aeg: there is no such head; "
            "did you mean 'age'?",
        ),
        ("training.lr.x", "space.training.lr.x: 0.0 makes a config that is refused: training.lr.x: leads through a "),
        ("seed", "space.seed: decides which images a trial is judged on; "),
        ("data.val_fraction", "space.data.val_fraction: decides which images a trial is judged on; "),
        ("data.contradictions", "space.data.contradictions: decides which images a trial is judged on; "),
        ("data.source.name", "space.data.source.name: decides which images a trial is judged on; "),
        ("data.corrections.tier", "space.data.corrections.tier: decides which images a trial is judged on; "),
        ("augment", "space.augment: is a section; name one of its settings, as augment.strength"),
        ("heads", "space.heads: is a section; name one of its settings, as heads.mask.weight"),
        ("heads.*.loss", "space.heads.mask.loss: is a section; name one of its settings, as heads.mask.loss.name"),
        ("heads.*", "space.heads.*: 0.0 makes a config that is refused: heads.*: input should be a section of keys"),
        ("", "space.: unknown key; "),
    ],
)
def test_an_unknown_path_is_named_with_the_nearest(path: str, line: str, space_of: MakeSpace) -> None:
    assert refusal(space_of, {path: {"low": 0, "high": 1}}).startswith(line)


def test_a_star_stands_for_every_head_also_in_the_condition(space_of: MakeSpace) -> None:
    gamma = {**GAMMA, "when": {"heads.*.loss.name": "focal"}}
    space = space_of({"heads.*.loss.gamma": gamma, "heads.*.loss.name": LOSSES})
    assert list(space.distributions()) == [
        *(f"heads.{head}.loss.name" for head in HEADS),
        *(f"heads.{head}.loss.gamma" for head in HEADS),
    ]
    trial = Told(**{"heads.gender.loss.name": "focal", "heads.gender.loss.gamma": 1.5})
    assert space.suggest(trial)["heads.gender.loss.gamma"] == 1.5
    assert [name for name in trial.asked if "gamma" in name] == ["heads.gender.loss.gamma"]


@pytest.mark.parametrize("tasks", [["one"], ["x", "y"], ["a", "b", "c", "d", "e"]])
def test_heads_are_those_of_the_base_whatever_they_are(tasks: list[str], space_of: MakeSpace) -> None:
    base = {"labels.tasks": {task: {"classes": ["0", "1"]} for task in tasks}}
    assert list(space_of({"heads.*.weight": {"low": 0.5, "high": 2}}, base).distributions()) == [
        f"heads.{task}.weight" for task in tasks
    ]
    if len(tasks) > 1:
        assert list(space_of({"heads": "head_weights"}, base).distributions()) == [
            f"weight_ratio.{task}" for task in tasks[1:]
        ]


def test_a_network_of_one_head_has_that_one(space_of: MakeSpace) -> None:
    flat = {"model.sharing.name": "flat"}
    assert list(space_of({"heads.*.loss.smoothing": {"low": 0, "high": 0.2}}, flat).distributions()) == [
        "heads.class.loss.smoothing"
    ]
    line = "space.heads: there is one head, whose weight has nothing to be weighed against"
    assert refusal(space_of, {"heads": "head_weights"}, flat) == line


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ({"heads.age": "head_weights"}, "space.heads.age: head_weights stands under heads, found under heads.age"),
        (
            {"heads": "head_weights", "heads.*.weight": {"low": 0.1, "high": 1}},
            "space.heads.mask.weight: is one of the weights that space.heads sets",
        ),
        (
            {"heads.*.weight": {"low": 0.1, "high": 1}, "heads.age.weight": {"low": 0.5, "high": 3}},
            "space.heads.age.weight: stands twice, since heads.* stands for every head",
        ),
        (
            {"heads.age.weight": {"low": 0.5, "high": 3}, "heads.*.weight": {"low": 0.1, "high": 1}},
            "space.heads.age.weight: stands twice, since heads.* stands for every head",
        ),
    ],
)
def test_a_setting_that_two_entries_set_is_refused(entries: dict[str, Any], line: str, space_of: MakeSpace) -> None:
    assert refusal(space_of, entries) == line


class SameRateEntry(FloatEntry):
    """One number for several settings, under whatever section."""

    kind: Literal["same_rate"] = "same_rate"  # type: ignore[assignment]
    keys: tuple[str, ...]

    def check(self, path: str, base: BaseValues, paths: Collection[str]) -> None:
        """Any path."""

    def names(self, path: str, base: BaseValues) -> tuple[str, ...]:
        return (f"{path}.rate",)

    def changes(self, path: str, values: tuple[Any, ...], base: BaseValues) -> dict[str, Any]:
        return dict.fromkeys(self.keys, values[0])

    def base_values(self, path: str, base: BaseValues) -> None:
        return None


def test_an_entry_of_ones_own_may_set_several_settings_of_a_section(space_of: MakeSpace) -> None:
    keys = ["heads.mask.net.dropout", "heads.age.net.dropout"]
    own = {"kind": "same_rate", "low": 0.1, "high": 0.5, "keys": keys}
    with temporary_extensions():
        ENTRIES["same_rate"] = SameRateEntry
        space = space_of({"heads": own})
        assert space.suggest(Told(**{"heads.rate": 0.25})) == dict.fromkeys(keys, 0.25)
        line = (
            "space.heads: sets data.val_fraction, which decides which images a trial is judged on; the scores of its "
        )
        assert refusal(space_of, {"heads": {**own, "keys": ["data.val_fraction"]}}).startswith(line)
        asks = {"training.lr": {"low": 1e-4, "high": 1e-2, "when": {"heads": 0.2}}}
        line = "space.training.lr.when: heads has no value of its own; name another setting"
        assert refusal(space_of, {"heads": own, **asks}) == line


# --- what makes an invalid config -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        (
            {"augment.strength": {"low": -0.1, "high": 0.5}},
            "space.augment.strength: -0.1 makes a config that is refused: augment.strength: input should be greater "
            "than or equal to 0, found -0.1",
        ),
        (
            {"augment.strength": {"low": 0.0, "high": 1.5}},
            "space.augment.strength: 1.5 makes a config that is refused: augment.strength: input should be less than "
            "or equal to 1, found 1.5",
        ),
        ({"heads.*.loss.smoothing": {"low": 0, "high": 1}}, "space.heads.mask.loss.smoothing: 1.0 makes a config"),
        ({"training.epochs": {"low": 1, "high": 4}}, "space.training.epochs: 1.0 makes a config that is refused: "),
        ({"training.epochs": {"kind": "int", "low": 0, "high": 4}}, "space.training.epochs: 0 makes a config that is "),
        (
            {"augment.flip": {"kind": "categorical", "choices": [True, False, "no"]}},
            "space.augment.flip: 'no' makes a config that is refused: augment.flip: input should be a valid boolean, "
            "or 'alone', found 'no'",
        ),
        (
            {"heads.*.loss.name": {"kind": "categorical", "choices": ["cross_entropy", "focl", "focal"]}},
            "space.heads.mask.loss.name: 'focl' makes a config that is refused: heads.mask.loss.name: unknown name "
            "'focl'; did you mean 'focal'?",
        ),
        (
            {"training.patience": {"kind": "categorical", "choices": [None, 3, 0]}},
            "space.training.patience: 0 makes a config that is refused: training.patience: ",
        ),
    ],
)
def test_both_ends_and_every_choice_must_make_a_valid_config(
    entries: dict[str, Any], line: str, space_of: MakeSpace
) -> None:
    assert refusal(space_of, entries).startswith(line)


def test_the_ends_of_a_conditional_entry_are_checked_where_its_condition_is_met(space_of: MakeSpace) -> None:
    losses, gamma = {"heads.age.loss.name": LOSSES}, {"when": {"heads.age.loss.name": "focal"}}
    assert space_of({**losses, "heads.age.loss.gamma": {**GAMMA, **gamma}})
    line = refusal(space_of, {**losses, "heads.age.loss.gamma": {"low": -1, "high": 3, **gamma}})
    assert line.startswith("space.heads.age.loss.gamma: -1.0 makes a config that is refused: heads.age.loss.gamma: ")
    # Each of several ways to meet it: the second one has no such setting.
    either = {"when": {"heads.age.loss.name": ["focal", "cross_entropy"]}}
    line = refusal(space_of, {**losses, "heads.age.loss.gamma": {**GAMMA, **either}})
    assert line.startswith("space.heads.age.loss.gamma: unknown key (of 'cross_entropy')")


@pytest.mark.parametrize(
    "entries",
    [
        # Only where both are large.
        {"augment.mix.mixup_prob": {"low": 0, "high": 0.51}, "augment.mix.cutmix_prob": {"low": 0, "high": 0.51}},
        # Only where one is at its end and the other one at the other.
        {
            "training.epochs": {"kind": "int", "low": 4, "high": 40},
            "training.schedule.warmup_epochs": {"kind": "int", "low": 0, "high": 4},
        },
    ],
    ids=["mix", "warm-up"],
)
@pytest.mark.parametrize("others", [0, 6])
def test_ends_that_are_refused_only_together_are_found(
    entries: dict[str, Any], others: int, space_of: MakeSpace
) -> None:
    more = {f"augment.{family}": {"low": 0, "high": 2} for family in ("geometry", "colour", "noise", "occlusion")}
    more |= {"training.lr": {"low": 1e-4, "high": 1e-2, "log": True}, "augment.flip": {**LOSSES, "choices": [True]}}
    for path, entry in entries.items():
        assert space_of({path: entry}, {"training.epochs": 10})
    line = refusal(space_of, {**dict(list(more.items())[:others]), **entries}, {"training.epochs": 10})
    assert line.startswith("space: ")
    assert all(f"{path}=" in line for path in entries)
    assert " makes a config that is refused: " in line


def test_an_entry_without_the_condition_that_it_needs_is_found(space_of: MakeSpace) -> None:
    base = {"heads.age.loss.name": "focal"}
    line = refusal(space_of, {"heads.age.loss.name": LOSSES, "heads.age.loss.gamma": GAMMA}, base)
    assert line.startswith("space: 'heads.age.loss.name=cross_entropy, heads.age.loss.gamma=")
    assert line.endswith(
        "makes a config that is refused: heads.age.loss.gamma: unknown key (of 'cross_entropy'); it can be 'name', "
        "'class_weights', 'deferred', 'smoothing'"
    )


# --- conditions -------------------------------------------------------------------------------------------------

LR = {"low": 1e-4, "high": 1e-2, "log": True}
FLIP = {"kind": "categorical", "choices": [True, False]}


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        (
            {"training.lr": {**LR, "when": {"training.epoch": 2}}},
            "space.training.lr.when: unknown key 'training.epoch'; did you mean 'training.epochs'",
        ),
        (
            {"training.lr": {**LR, "when": {"heads.*.weight": 1.0}}},
            "space.training.lr.when: unknown key 'heads.*.weight'; did you mean ",
        ),
        (
            {"training.lr": {**LR, "when": {"training.epochs": 3}}},
            "space.training.lr.when: is never met: training.epochs is 2 in the base, and not in the space",
        ),
        (
            {"training.lr": {**LR, "when": {"training.epochs": [3, 4]}}},
            "space.training.lr.when: is never met: training.epochs is 2 in the base, and not in the space",
        ),
        (
            {"training.lr": {**LR, "when": {"augment.flip": 1}}},
            "space.training.lr.when: is never met: augment.flip is True in the base, and not in the space",
        ),
        (
            {"augment.flip": FLIP, "training.lr": {**LR, "when": {"augment.flip": [True, "no"]}}},
            "space.training.lr.when: space.augment.flip never tries 'no'",
        ),
        (
            {"augment.strength": STRENGTH, "training.lr": {**LR, "when": {"augment.strength": 0.9}}},
            "space.training.lr.when: space.augment.strength never tries 0.9",
        ),
        (
            {"heads": "head_weights", "training.lr": {**LR, "when": {"heads": 1.0}}},
            "space.training.lr.when: heads has no value of its own; name another setting",
        ),
        (
            {"training.lr": {**LR, "when": {"training.lr": 0.001}}},
            "space.training.lr.when: goes round in a circle",
        ),
        (
            {
                "augment.noise": {**STRENGTH, "when": {"augment.flip": True}},
                "augment.flip": {**FLIP, "when": {"augment.strength": 0.5}},
                "augment.strength": {**STRENGTH, "when": {"training.lr": 0.001}},
                "training.lr": {**LR, "when": {"augment.flip": False}},
            },
            "space.augment.flip.when: goes round in a circle",
        ),
    ],
)
def test_a_condition_that_is_never_met_is_refused(entries: dict[str, Any], line: str, space_of: MakeSpace) -> None:
    assert refusal(space_of, entries).startswith(line)


@pytest.mark.parametrize("wanted", [2, [1, 2], 2.0, [3, 2, 1]])
def test_a_condition_on_the_base_is_met_by_a_value_or_one_of_several(wanted: object, space_of: MakeSpace) -> None:
    space = space_of({"training.lr": {**LR, "when": {"training.epochs": wanted}}})
    assert list(space.suggest(Told())) == ["training.lr"]


def test_an_entry_is_tried_only_where_all_of_its_conditions_are_met(space_of: MakeSpace) -> None:
    entries = {
        "augment.noise": {**STRENGTH, "when": {"augment.flip": True, "augment.strength": [0.2, 0.4]}},
        "augment.flip": FLIP,
        "augment.strength": {**STRENGTH, "step": 0.2},
    }
    space = space_of(entries)
    for flip in (True, False):
        for strength in (0.0, 0.2, 0.4, 0.6):
            changes = space.suggest(Told(**{"augment.flip": flip, "augment.strength": strength}))
            assert ("augment.noise" in changes) == (flip and strength in (0.2, 0.4))


def test_conditions_can_build_on_one_another_in_any_order_of_the_file(space_of: MakeSpace) -> None:
    entries = {
        "augment.noise": {**STRENGTH, "when": {"heads.age.loss.gamma": 0.5}},
        "heads.age.loss.gamma": {**GAMMA, "when": {"heads.age.loss.name": "focal"}},
        "heads.age.loss.name": {**LOSSES, "when": {"augment.flip": True}},
        "augment.flip": FLIP,
    }
    space = space_of(entries)
    assert list(space.distributions()) == list(reversed(entries))
    loss = "heads.age.loss.name"
    assert list(space.suggest(Told())) == ["augment.flip", loss]
    assert list(space.suggest(Told(**{"augment.flip": False, loss: "focal"}))) == ["augment.flip"]
    assert list(space.suggest(Told(**{loss: "focal"}))) == ["augment.flip", loss, f"{loss[:-4]}gamma", "augment.noise"]
    assert list(space.suggest(Told(**{loss: "focal", "heads.age.loss.gamma": 1.0})))[-1] == "heads.age.loss.gamma"


def test_where_an_entry_is_not_tried_the_bases_setting_counts(space_of: MakeSpace) -> None:
    entries = {
        "augment.flip": FLIP,
        "augment.mix.cutmix_vertical": {**FLIP, "when": {"augment.flip": True}},
        "augment.noise": {**STRENGTH, "when": {"augment.mix.cutmix_vertical": False}},
    }
    vertical = "augment.mix.cutmix_vertical"
    space = space_of(entries)
    assert "augment.noise" in space.suggest(Told(**{"augment.flip": False}))
    assert "augment.noise" not in space.suggest(Told(**{"augment.flip": True, vertical: True}))
    space = space_of(entries, {vertical: True})
    assert "augment.noise" not in space.suggest(Told(**{"augment.flip": False}))


def test_conditions_that_need_the_same_setting_are_checked_where_they_agree(space_of: MakeSpace) -> None:
    smoothing = {
        "kind": "categorical",
        "choices": [0.0, 0.1],
        "when": {"heads.age.loss.name": ["cross_entropy", "focal"]},
    }
    gamma = {"kind": "categorical", "choices": [1.0, 2.0], "when": {"heads.age.loss.name": "focal"}}
    entries = {
        "heads.age.loss.name": LOSSES,
        "heads.age.loss.smoothing": smoothing,
        "heads.age.loss.gamma": gamma,
        "augment.noise": {**STRENGTH, "when": {"heads.age.loss.gamma": 2.0, "heads.age.loss.smoothing": 0.1}},
    }
    assert space_of(entries)
    line = refusal(space_of, {**entries, "augment.noise": {**entries["augment.noise"], "low": -1}})
    assert line.startswith("space.augment.noise: -1.0 makes a config that is refused: augment.noise: ")


# --- the base ---------------------------------------------------------------------------------------------------


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


# --- trials -----------------------------------------------------------------------------------------------------

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
