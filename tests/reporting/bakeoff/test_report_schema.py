"""A bake-off's report as a file: read, written again, and what is said of a damaged one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.errors import UserError
from multitask.reporting.bakeoff.report_schema import BakeoffReport, groups_to_train
from multitask.utils.records import parse_record, to_json_data

Make = Callable[..., dict[str, Any]]
PATH = Path("report.json")


@pytest.mark.parametrize(
    "settings", [{}, {"points": (40, "all"), "tune": True, "unseen": True}, {"failed": ("shared",)}]
)
def test_a_file_is_the_same_when_it_is_written_again_but_for_its_version(
    make_data: Make, settings: dict[str, Any]
) -> None:
    data = make_data(**settings)
    report = parse_record(json.dumps(data), BakeoffReport, PATH)
    again = to_json_data(report)
    assert json.dumps(again) == json.dumps({**data, "version": 1})
    assert parse_record(json.dumps(again), BakeoffReport, PATH) == report


def test_scores_and_failures_are_told_apart(make_data: Make) -> None:
    report = parse_record(json.dumps(make_data(failed=("shared",))), BakeoffReport, PATH)
    assert list(report.last.scored) == ["flat", "shared + logit adjustment"]
    assert report.last.failures == {"shared": "heads.age: the loss is nan"}


def test_groups_of_other_sources_than_the_target_train_at_every_point_and_count_at_none(make_data: Make) -> None:
    data = make_data(points=(40, 80, "all"), failed=("shared",))
    for point in data["points"]:
        for run in point["contenders"]["flat"]["runs"]:
            run["train_groups"] += 5_000
    points = parse_record(json.dumps(data), BakeoffReport, PATH).points
    assert groups_to_train(points, "flat") == {40: 40, 80: 80, "all": 160}
    assert groups_to_train(points, "shared + logit adjustment") == {40: 40, 80: 80, "all": 160}
    assert groups_to_train(points[-1:], "flat") == {"all": 5_160}
    assert groups_to_train(points, "shared") == {40: 40, 80: 80}


def _set(data: dict[str, Any], value: object, *path: Any) -> None:
    *above, key = path
    parent: Any = data
    for step in above:
        parent = parent[step]
    if value is ...:
        del parent[key]
    else:
        parent[key] = value


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("points",), [], "points: "),
        (("created",), "yesterday", "created: "),
        (("points", 0, "contenders", "shared"), ..., "points.0: has other contenders"),
        (("points", 0, "contenders", "shared", "joint", "value"), "x", "points.0.contenders.shared.joint.value: input"),
        (("points", 0, "contenders", "shared", "runs", 1), ..., "points.0: contenders do not have the same runs"),
        (("points", 0, "contenders", "flat"), {"difference": None, "failure": "x", "epochs": []}, "points.0: the ref"),
        (("points", 0, "matrix", "flat", "shared"), ..., "points.0: the matrix has other contenders"),
        (("contenders", 1, "training_memory", "total"), 1.5, "contenders.1.training_memory.total: input should be a"),
        (("budget",), {}, "budget: must hold either images or seconds"),
    ],
)
def test_a_damaged_report_names_file_and_key(make_data: Make, path: tuple[Any, ...], value: object, line: str) -> None:
    data = make_data()
    _set(data, value, *path)
    with pytest.raises(UserError) as caught:
        parse_record(json.dumps(data), BakeoffReport, PATH)
    assert str(caught.value).startswith(f"report.json: is damaged: {line}")
    assert "\n" not in str(caught.value)
