"""The ``labels`` section: what it declares, and lines that say what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from multitask.labels import TASK_KINDS, LabelSettings, LabelSpace, Task, TaskSettings
from multitask.settings import Settings, problems, validate
from multitask.testing.task_kinds import TASK_KIND_CHECKS

COMPETITION = LabelSpace(
    [
        Task("mask", ("wear", "incorrect", "not_worn")),
        Task("gender", ("male", "female")),
        Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0)),
    ]
)


EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "nominal": [{"classes": ["male", "female"]}],
    "ordinal": [{"classes": ["small", "medium", "large"]}],
    "binned": [
        {"edges": [30]},
        {"edges": [30, 60], "lowest": 0, "highest": 60},
        {"edges": [-0.5, 1e6], "classes": ["low", "middle", "high"]},
    ],
}
"""Of each kind."""


@pytest.mark.parametrize("kind", TASK_KINDS)
@pytest.mark.parametrize("check", TASK_KIND_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[TaskSettings], None], kind: str) -> None:
    for keys in EXAMPLES[kind]:
        check(validate(TASK_KINDS[kind], {"kind": kind, **keys}))


class TestSettings:
    TASKS: dict[str, Any] = {
        "mask": {"classes": ["wear", "incorrect", "not_worn"]},
        "gender": ["male", "female"],
        "age": {"kind": "binned", "edges": [30, 60]},
    }

    def section(self, **tasks: Any) -> dict[str, Any]:
        return {"tasks": {"mask": self.TASKS["mask"], "age": self.TASKS["age"], **tasks}}

    def test_the_competitions_space_is_declared(self) -> None:
        section = self.section(gender={"classes": ["male", "female"]})
        section["tasks"] = {name: section["tasks"][name] for name in ("mask", "gender", "age")}
        assert validate(LabelSettings, section).space() == COMPETITION

    def test_close_edges_still_name_their_bins_apart(self) -> None:
        section = self.section(age={"kind": "binned", "edges": [1000000, 1000001, 1000002.5]})
        names = validate(LabelSettings, section).space().tasks[1].classes
        assert names == ("<1000000", "1000000-1000001", "1000001-1000002.5", ">=1000002.5")

    @pytest.mark.parametrize(
        ("tasks", "line"),
        [
            ({"age": {"kind": "binned", "edges": [60, 30]}}, "labels.tasks.age: edges must rise, found [60.0, 30.0]"),
            ({"age": {"kind": "binned", "edges": [30, 30]}}, "labels.tasks.age: edges must rise, found [30.0, 30.0]"),
            (
                {"age": {"kind": "binned", "edges": [1.0, 1.00000001]}},
                "labels.tasks.age: edges must differ by more than single precision rounds, found [1.0, 1.00000001]",
            ),
            (
                {"age": {"kind": "binned", "edges": [1e308]}},
                "labels.tasks.age.edges.0: input should be less than or equal to",
            ),
            ({"age": {"kind": "binned", "edges": [math.nan]}}, "labels.tasks.age.edges.0: input should be a finite"),
            (
                {"age": {"kind": "binned", "edges": [30, 60], "lowest": 30}},
                "labels.tasks.age.lowest: must be below the first edge (30), found 30",
            ),
            (
                {"age": {"kind": "binned", "edges": [30, 60], "highest": 59}},
                "labels.tasks.age.highest: must be at least the last edge (60), found 59",
            ),
            (
                {"price": {"kind": "binned", "edges": [1234567], "highest": 1234566}},
                "labels.tasks.price.highest: must be at least the last edge (1234567), found 1234566",
            ),
            (
                {"age": {"kind": "binned", "edges": [30, 60], "classes": ["a", "b"]}},
                "labels.tasks.age: 2 edges make 3 classes, found 2",
            ),
            ({"mask": {"classes": ["a", "b", "a"]}}, "labels.tasks.mask: class 'a' stands twice"),
            ({"mask": {"kind": "ordinal", "classes": ["a", " "]}}, "labels.tasks.mask: a class name is empty"),
            (
                {"mask": {"classes": ["a/b", "c"]}},
                "labels.tasks.mask: a class name cannot hold '/', which joins the names of a product: 'a/b'",
            ),
            (
                {"mask worn": {"classes": ["a", "b"]}},
                "labels.tasks: a name is made of letters, digits and _, found 'mask worn'; call it 'mask_worn' "
                "(a table's column may keep its own: data.source.tasks.TASK.column)",
            ),
            (
                {"image": {"classes": ["a", "b"]}},
                "labels.tasks: 'image' is a name that tables and reports use; choose another",
            ),
            (
                {"drop": {"classes": ["a", "b"]}},
                "labels.tasks: 'drop' is a name that tables and reports use; choose another",
            ),
            (
                {"mask": {"classes": [str(index) for index in range(4000)]}},
                "labels.tasks: the product of 2 tasks must have at most 10,000 classes, found 12,000; leave tasks out",
            ),
            ({"age": {"kind": "bined", "edges": [30]}}, "labels.tasks.age.kind: unknown kind 'bined'; did you mean"),
            ({"age": {"kind": "binned"}}, "labels.tasks.age.edges: "),
        ],
    )
    def test_a_wrong_task_is_one_line(self, tasks: dict[str, Any], line: str) -> None:
        found = problems_below_labels(self.section(**tasks))
        assert len(found) == 1
        assert found[0].startswith(line)

    @pytest.mark.parametrize(
        ("cells", "line"),
        [
            ([{"mas": "wear"}], "labels.impossible: unknown task 'mas'; did you mean 'mask'?"),
            ([{"mask": "wera"}], "labels.impossible: mask has no class 'wera'; did you mean 'wear'?"),
            ([{}], "labels.impossible: leaves 0 classes that can occur; two are needed"),
        ],
    )
    def test_a_wrong_cell_is_one_line(self, cells: list[dict[str, str]], line: str) -> None:
        assert problems_below_labels({**self.section(), "impossible": cells}) == [line]


def problems_below_labels(section: dict[str, Any]) -> list[str]:
    """What is wrong with a ``labels`` section, seen from the config that holds it."""

    class Whole(Settings):
        labels: LabelSettings

    Whole.model_rebuild(_types_namespace={"LabelSettings": LabelSettings})
    return problems(Whole, {"labels": section})
