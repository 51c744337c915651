"""A space made of the entries of a study file: which settings they name, and what cannot be searched."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import pytest

from multitask.settings.extensions import temporary_extensions
from multitask.study import ENTRIES
from multitask.study.parameters import BaseValues, FloatEntry
from tests.study.spaces import GAMMA, HEADS, LOSSES, MakeSpace, Told, refusal


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("augment.strenght", "space.augment.strenght: unknown key; did you mean 'strength'?"),
        ("augmnet.strength", "space.augmnet: unknown key; did you mean 'augment'?"),
        ("strength", "space.strength: unknown key; did you mean 'augment.strength'?"),
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


@pytest.mark.parametrize(
    ("entries", "most"),
    [
        ({"training.lr": {"low": 1e-4, "high": 1e-2}}, 2),
        ({"training.epochs": {"kind": "int", "low": 3, "high": 9}}, 9),
        ({"training.epochs": {"kind": "categorical", "choices": [4, 12, 6]}, "heads": {"kind": "head_weights"}}, 12),
        ({"training.epochs": {"kind": "categorical", "choices": [1]}}, 2),  # the base is a trial too
    ],
)
def test_the_most_epochs_of_a_trial_are_the_bases_or_the_spaces(
    entries: dict[str, Any], most: int, space_of: MakeSpace
) -> None:
    assert space_of(entries, {"training.epochs": 2}).most_epochs == most


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
            "space.augment.flip: 'no' makes a config that is refused: augment.flip: input should be true or false, "
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
