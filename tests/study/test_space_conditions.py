"""Entries of a space that are tried only where a condition is met."""

from __future__ import annotations

from typing import Any

import pytest

from tests.study.spaces import GAMMA, LOSSES, LR, STRENGTH, MakeSpace, Told, refusal


def test_the_ends_of_a_conditional_entry_are_checked_where_its_condition_is_met(space_of: MakeSpace) -> None:
    losses, gamma = {"heads.age.loss.name": LOSSES}, {"when": {"heads.age.loss.name": "focal"}}
    assert space_of({**losses, "heads.age.loss.gamma": {**GAMMA, **gamma}})
    line = refusal(space_of, {**losses, "heads.age.loss.gamma": {"low": -1, "high": 3, **gamma}})
    assert line.startswith("space.heads.age.loss.gamma: -1.0 makes a config that is refused: heads.age.loss.gamma: ")
    # Each of several ways to meet it: the second one has no such setting.
    either = {"when": {"heads.age.loss.name": ["focal", "cross_entropy"]}}
    line = refusal(space_of, {**losses, "heads.age.loss.gamma": {**GAMMA, **either}})
    assert line.startswith("space.heads.age.loss.gamma: unknown key (of 'cross_entropy')")


def test_an_entry_without_the_condition_that_it_needs_is_found(space_of: MakeSpace) -> None:
    base = {"heads.age.loss.name": "focal"}
    line = refusal(space_of, {"heads.age.loss.name": LOSSES, "heads.age.loss.gamma": GAMMA}, base)
    assert line.startswith("space: 'heads.age.loss.name=cross_entropy, heads.age.loss.gamma=")
    assert line.endswith(
        "makes a config that is refused: heads.age.loss.gamma: unknown key (of 'cross_entropy'); 'focal' and "
        "'class_balanced_focal' have it"
    )


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
