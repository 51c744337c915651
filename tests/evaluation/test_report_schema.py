from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from multitask.errors import UserError
from multitask.evaluation.networks_schema import FinalFacts
from multitask.evaluation.report_schema import RunReport
from multitask.utils.records import parse_record, to_json_data

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

SIZE = {"num_images": 2, "num_groups": 2}
VAL_OF_ONE_CLASS = {"val": {**SIZE, "joint": [1], "tasks": {"letter": [1, 1]}}}
FOLD = {"fold": 0, **SIZE, "macro_f1": 1.0, "tasks": {"letter": 1.0}, "best_epoch": 1, "num_epochs": 1}


def read(data: object) -> RunReport:
    return parse_record(json.dumps(data), RunReport, Path("report.json"))


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("joint", "macro_f1"), "1", "joint.macro_f1: input should be a valid number, found '1'"),
        (("joint", "macro_f1"), 7.0, "joint.macro_f1: input should be less than or equal to 1, found 7.0"),
        (("tasks",), {}, "tasks: section should have at least 1 item, found {}"),
        (("tasks", "letter", "classes", 1, "support"), None, "tasks.letter.classes.1.support: input should be a valid"),
        (("joint", "confusion"), [[1]], "joint: confusion does not fit the 2 classes"),
        (("joint", "confusion"), {"num_classes": 2, "entries": [[0, 2, 1]]}, "joint: confusion does not fit"),
        (("training",), ..., "training: field required"),
        (("decode",), {}, "decode: it has no name"),
        (("created",), "yesterday", "created: invalid isoformat string"),
        (("folds",), [{**FOLD, "tasks": {}}], "folds: fold 0 has other tasks"),
        (
            ("class_distribution",),
            {"val": {**SIZE, "joint": [1], "tasks": {"letter": [1, 1]}}},
            "class_distribution.val",
        ),
    ],
)
def test_a_damaged_report_names_file_and_key(path: tuple[Any, ...], value: object, line: str) -> None:
    read(REPORT)
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
        read(data)
    assert str(caught.value).startswith(f"report.json: is damaged: {line}")


def test_a_sparse_matrix_is_one_too() -> None:
    data = copy.deepcopy(REPORT)
    data["joint"]["confusion"] = {"num_classes": 2, "entries": [[0, 0, 1], [1, 1, 1]]}
    read(data)


def test_a_report_is_written_as_it_was_read_and_has_a_version() -> None:
    known = {key: value for key, value in REPORT.items() if key != "of_a_later_version"}
    added = {"version": 1, "unseen": None, "decode_rules": None, "joint_term": None}
    data = to_json_data(read({**known, "folds": [FOLD]}))
    assert data["folds"] == [FOLD]
    for scores in (data["joint"], data["tasks"]["letter"]):
        assert scores.pop("ceiling") is None
    assert data["attribution"].pop("macro_f1") is None
    assert {key: data[key] for key in known if key != "training"} == {
        key: value for key, value in known.items() if key != "training"
    }
    assert data["training"].items() >= known["training"].items()
    assert "num_folds" not in data["training"]
    assert {key: data[key] for key in added} == added
    assert not {"crop", "fit", "first_frames"} & set(data)


def test_a_report_of_a_newer_version_is_named() -> None:
    with pytest.raises(UserError, match=r"^report\.json: is of version 2; this is multitask \S+, which reads up to 1$"):
        read({"version": 2})


@pytest.mark.parametrize(("kept", "said"), [((1, 1), "its 1 epoch (the"), ((2, 3, 4), "its 3 epochs (the")])
def test_whose_scores_a_final_run_has(kept: tuple[int, ...], said: str) -> None:
    facts = FinalFacts(folds_run="folds", kept_epochs=kept, num_epochs=kept[len(kept) // 2])
    assert f"from which it has {said} median of {', '.join(map(str, kept))})" in facts.sentence
