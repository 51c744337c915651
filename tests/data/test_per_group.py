"""Tasks whose label belongs to the group: declared, found, contradicted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multitask.data.per_group import contradicted, labelled_groups, per_group_tasks, shares_constant
from multitask.data.samples import Samples
from multitask.labels import MISSING, LabelSettings, NominalSettings

Declared = dict[str, bool | None]


def make(labels: list[list[int]], groups: list[str], declared: Declared | None = None) -> Samples:
    tasks = {
        name: NominalSettings(classes=("a", "b"), per_group=(declared or {}).get(name)) for name in ("mask", "gender")
    }
    space = LabelSettings(tasks=tasks).space()
    samples = Samples.unlabelled(space, Path(), [f"{place}.jpg" for place in range(len(groups))], groups)
    samples.labels[:] = labels
    return samples


PAIRS = [f"p{place // 2}" for place in range(16)]
CONSTANT = [[place % 2, place // 2 % 2] for place in range(16)]


def test_what_no_group_contradicts_is_found() -> None:
    assert per_group_tasks(make(CONSTANT, PAIRS)) == ("gender",)


def test_one_contradiction_is_enough() -> None:
    labels = [row.copy() for row in CONSTANT]
    labels[1][1] = 1
    assert per_group_tasks(make(labels, PAIRS)) == ()
    labels[1][1] = MISSING
    assert per_group_tasks(make(labels, PAIRS)) == ("gender",)


def test_groups_of_one_say_nothing() -> None:
    assert per_group_tasks(make(CONSTANT, [str(place) for place in range(16)])) == ()


@pytest.mark.parametrize(("num", "found"), [(6, ()), (7, ("gender",))])
def test_agreement_that_may_be_chance_is_not_found(num: int, found: tuple[str, ...]) -> None:
    """Of fair labels k pairs agree with a probability of 2 ** -k: six pairs of 1 / 64, seven of less than .01."""
    singles = [[place % 2, place % 2] for place in range(100)]  # so that the shares are fair
    samples = make(CONSTANT[: 2 * num] + singles, [*PAIRS[: 2 * num], *(f"s{place}" for place in range(100))])
    assert per_group_tasks(samples) == found


@pytest.mark.parametrize("declared", [True, False])
def test_what_is_declared_counts(declared: bool) -> None:
    few = make([[0, 0], [1, 1]], ["p0", "p1"], {"gender": declared})
    assert per_group_tasks(few) == (("gender",) if declared else ())
    assert per_group_tasks(make(CONSTANT, PAIRS, {"gender": declared})) == (("gender",) if declared else ())


def test_shares_are_of_the_groups_with_two_labels() -> None:
    labels, groups = np.array([[0, 0], [1, 0], [0, 1], [0, 1], [1, MISSING]]), np.array([0, 0, 1, 1, 2])
    space = make(CONSTANT, PAIRS).space
    assert shares_constant(space, labels, groups) == {"mask": 0.5, "gender": 1.0}
    assert shares_constant(space, labels, np.arange(5)) == {}
    assert contradicted(labels[:, 0], groups).tolist() == [0]


def test_a_declaration_is_no_part_of_what_makes_spaces_equal() -> None:
    plain, declared = make(CONSTANT, PAIRS).space, make(CONSTANT, PAIRS, {"gender": True}).space
    assert plain == declared
    assert hash(plain) == hash(declared)
    assert [task.per_group for task in declared.tasks] == [None, True]


def test_a_group_without_a_label_of_a_task_has_no_number_there() -> None:
    samples = make([[0, 1], [MISSING, MISSING], [1, MISSING], [MISSING, MISSING]], ["p", "p", "scene", "scene"])
    assert labelled_groups(samples, ("gender", "mask")).tolist() == [[0, 0], [0, 0], [MISSING, 1], [MISSING, 1]]
