from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from multitask.errors import UserError
from multitask.evaluation.decode import (
    DECODE_RULES,
    DecodeRule,
    DecodeSettings,
    LabelledOutputs,
    ModelOutputs,
    Priors,
)
from multitask.evaluation.decode.auto import MOST_CLASSES, AutoSettings, candidates, pick
from multitask.evaluation.decode.plain import Joint
from multitask.evaluation.metrics import IntArray
from multitask.labels import LabelSpace, Task
from multitask.settings.extensions import temporary_extensions


def test_every_rule_of_the_table_is_compared(space: LabelSpace) -> None:
    names = [rule.name for rule in candidates(space)]
    missing = set(DECODE_RULES) - set(names)
    assert missing == ({"auto", "class_bias"} if space.num_tasks == 1 else {"auto"})
    assert names[:2] == ["independent", "joint"]


def test_in_a_product_of_very_many_classes_only_what_needs_no_fitting_is() -> None:
    many = LabelSpace([Task("a", tuple(map(str, range(MOST_CLASSES)))), Task("b", ("x", "y"))])
    assert [rule.name for rule in candidates(many)] == ["independent", "joint"]


SKEW = 8.0
"""By which a network is sure of the first label, whatever the image."""


class Undone(DecodeRule):
    """Takes off what was laid on the first label of the first head."""

    name: Literal["undone"] = "undone"

    def decode(self, outputs: ModelOutputs) -> IntArray:
        first, *others = outputs.heads
        off = np.array([SKEW] + [0.0] * (outputs.heads[first].shape[1] - 1))
        heads = {first: outputs.heads[first] - off, **{name: outputs.heads[name] for name in others}}
        return Joint().decode(ModelOutputs(outputs.space, heads))


class UndoneSettings(DecodeSettings):
    name: Literal["undone"] = "undone"
    number: int | None = 0

    def num_parameters(self, space: LabelSpace) -> int | None:
        return self.number

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        return Undone()

    def unfitted(self) -> DecodeRule:
        return Undone()


class LeftOutSettings(UndoneSettings):
    number: int | None = None


class NeedySettings(UndoneSettings):
    strength: float


def test_a_rule_of_ones_own_is_compared_where_it_says_how_many_parameters_it_has(
    make_known: Callable[..., LabelledOutputs],
) -> None:
    known = make_known(rows=400, signal=4.0)
    first = known.outputs.heads["size"] + np.array([SKEW, 0.0, 0.0])
    known = replace(known, outputs=ModelOutputs(known.space, {**known.outputs.heads, "size": first}))
    assert AutoSettings().fit(known, None, 0).name in ("head_bias", "class_bias")
    with temporary_extensions():
        DECODE_RULES["undone"] = UndoneSettings
        # As good as those that are fitted, and simpler.
        assert AutoSettings().fit(known, None, 0).name == "undone"
    with temporary_extensions():
        DECODE_RULES["undone"] = LeftOutSettings
        assert AutoSettings().fit(known, None, 0).name in ("head_bias", "class_bias")
    with temporary_extensions():
        DECODE_RULES["undone"] = NeedySettings
        with pytest.raises(
            UserError, match=r"^decode rule 'undone': auto compares it .* default: strength: Field requ"
        ):
            AutoSettings().fit(known, None, 0)
    assert [rule.name for rule in candidates(known.space)][2:] == [
        "expected_f1",
        "prior_correction",
        "head_bias",
        "class_bias",
    ]


def answers(classes: np.ndarray, errors: dict[str, float]) -> dict[str, np.ndarray]:
    """Answers of which a share is wrong, at random and for each rule anew."""
    found = {}
    for place, (name, share) in enumerate(errors.items()):
        rng = np.random.default_rng(place)
        found[name] = np.where(rng.random(len(classes)) < share, rng.integers(0, 6, len(classes)), classes)
    return found


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ({"simple": 0.3, "middle": 0.3, "free": 0.3}, "simple"),  # nobody is better beyond noise
        ({"simple": 0.6, "middle": 0.2, "free": 0.2}, "middle"),  # the simplest is
        ({"simple": 0.6, "middle": 0.5, "free": 0.1}, "free"),
    ],
)
def test_the_simplest_within_a_standard_error_of_the_best_is_picked(errors: dict[str, float], expected: str) -> None:
    space = LabelSpace([Task("size", ("s", "m", "l")), Task("colour", ("red", "blue"))])
    classes = np.random.default_rng(9).integers(0, 6, 700)
    found = pick(answers(classes, errors), classes, np.arange(700) // 7, space)
    assert found.name == expected
    assert found.gap <= found.error or found.name == found.best


def test_a_lead_within_a_standard_error_is_not_followed() -> None:
    """Each rule is right where the other is wrong: of two hundred groups on one side and 190 on the other."""
    space = LabelSpace([Task("size", ("s", "l"))])
    classes = np.arange(1000) % 2
    simple, free = classes.copy(), classes.copy()
    simple[:200] = 1 - simple[:200]
    free[200:390] = 1 - free[200:390]
    found = pick({"simple": simple, "free": free}, classes, np.arange(1000), space)
    assert (found.name, found.best) == ("simple", "free")
    # 10 images of 1000 ahead, and the difference of 390 coins has a standard deviation of 390 ** .5 = 19.7.
    assert found.gap == pytest.approx(0.01, abs=1e-3)
    assert found.error == pytest.approx(0.0197, abs=1e-3)


def test_equal_answers_are_the_simplest_rules(make_known: Callable[..., LabelledOutputs]) -> None:
    known = make_known()
    same = known.outputs.scores().argmax(axis=0)
    groups = np.arange(len(known))
    found = pick({"a": same, "b": same.copy()}, known.classes, groups, known.space)
    assert (found.name, found.best, found.gap) == ("a", "a", 0.0)


def test_where_the_network_knows_all_there_is_nothing_to_fit(make_known: Callable[..., LabelledOutputs]) -> None:
    assert AutoSettings().fit(make_known(signal=40.0), None, 0).name == "independent"


def test_a_rule_is_picked_where_it_pays(make_known: Callable[..., LabelledOutputs]) -> None:
    known = make_known(rows=3000, signal=2.0)  # answers without a prior, of classes of very different frequency
    assert AutoSettings().fit(known, None, 0).name not in ("independent", "joint")
