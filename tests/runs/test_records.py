from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from multitask.errors import UserError
from multitask.runs.records import Report, check, reading

SCORES = {"precision": 1.0, "recall": 1.0, "f1": 1.0}
FIGURES: dict[str, Any] = {
    "num_images": 2,
    "num_groups": 2,
    "accuracy": 1.0,
    "accuracy_ci": [0.5, 1.0],
    "macro_f1": 1.0,
    "macro_f1_ci": None,
    "ece": 0.1,
    "absent_classes": [],
    "classes": [{"name": name, "support": 1, **SCORES} for name in "ab"],
    "confusion": [[1, 0], [0, 1]],
    "reliability": [],
}
REPORT: dict[str, Any] = {
    "run": "r",
    "split": "val",
    "created": "2026-11-28T00:00:00+00:00",
    "num_images": 2,
    "num_groups": 2,
    "decode": {"name": "independent"},
    "joint": FIGURES,
    "tasks": {"letter": copy.deepcopy(FIGURES)},
    "attribution": {"perfect": {"letter": 1.0}, "lost": {"letter": 0.0}, "absent": 0.0},
    "training": {"best_epoch": 1, "num_epochs": 1, "seconds": 1.0},
    "of_a_later_version": 1,
}


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("joint", "macro_f1"), "1", "joint.macro_f1: input should be a valid number, found '1'"),
        (("joint", "macro_f1"), 7.0, "joint.macro_f1: input should be less than or equal to 1, found 7.0"),
        (("tasks",), {}, "tasks: dictionary should have at least 1 item after validation, not 0, found {}"),
        (("tasks", "letter", "classes", 1, "support"), None, "tasks.letter.classes.1.support: input should be a valid"),
        (("joint", "confusion"), [[1]], "joint: confusion does not fit the 2 classes"),
        (("joint", "confusion"), {"num_classes": 2, "entries": [[0, 2, 1]]}, "joint: confusion does not fit"),
        (("training",), ..., "training: field required"),
    ],
)
def test_a_damaged_report_names_file_and_key(path: tuple[Any, ...], value: object, line: str) -> None:
    check(Report, REPORT, Path("report.json"))
    data = copy.deepcopy(REPORT)
    *above, key = path
    parent = data
    for step in above:
        parent = parent[step]
    if value is ...:
        del parent[key]
    else:
        parent[key] = value
    with pytest.raises(UserError) as caught:
        check(Report, data, Path("report.json"))
    assert str(caught.value).startswith(f"report.json: is damaged: {line}")


def test_a_sparse_matrix_is_one_too() -> None:
    data = copy.deepcopy(REPORT)
    data["joint"]["confusion"] = {"num_classes": 2, "entries": [[0, 0, 1], [1, 1, 1]]}
    check(Report, data, Path("report.json"))


@pytest.mark.parametrize("broken", [lambda: {}["key"], lambda: 3 + "x", lambda: [][0], lambda: None.x, lambda: 1 / 0])
def test_what_cannot_be_shown_of_a_file_is_the_files_fault(broken: Any) -> None:
    with pytest.raises(UserError, match=r"^report\.json: is damaged: "), reading(Path("report.json")):
        broken()
