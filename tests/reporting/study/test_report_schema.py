"""A study's report as a file: its keys, and what is said of a damaged one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from multitask.errors import UserError
from multitask.reporting.study.report_schema import StudyReport
from multitask.utils.records import parse_record, to_json_data

PATH = Path("report.json")
TRIAL: dict[str, Any] = {
    "number": 0,
    "origin": "base",
    "state": "finished",
    "values": [0.5, None],
    "best_score": 0.5,
    "params": {"training.lr": 0.001, "augment.cutmix": True},
    "changes": {},
    "weights": {"mask": 1.0, "age": 1.0},
    "scores": {"joint": 0.5, "tasks": {"mask": 0.9, "age": None}},
    "history": [{"epoch": 1, "joint": 0.5, "tasks": {"mask": 0.9, "age": None}}],
    "num_epochs": 8,
    "seconds": 4.5,
    "started": "2026-11-24T10:00:00+00:00",
    "finished": None,
    "failure": None,
    "note": None,
}
CONFIRMED: dict[str, Any] = {
    "trial": 0,
    "base": True,
    "study_score": 0.5,
    "confirmed": 0.45,
    "runs": [0.4, None],
    "luck": 0.05,
    "pooled": 0.46,
    "pooled_ci": [0.4, 0.5],
    "tasks": {"mask": {"value": None, "ci": None}},
    "difference": {"value": -0.1, "low": -0.2, "high": 0.1, "beyond_noise": False},
}
STUDY: dict[str, Any] = {
    "study": "demo",
    "created": "2026-11-24T10:00:00+00:00",
    "versions": {"python": "3.11"},
    "base": "configs/demo.yaml",
    "objectives": [{"metric": "joint.macro_f1", "direction": "maximize"}],
    "sampler": "tpe",
    "pruner": "median",
    "seed": 0,
    "tasks": ["mask", "age"],
    "params": [
        {"name": "training.batch_size", "kind": "int", "low": 8, "high": 32, "log": False, "step": 8, "choices": None},
        {"name": "x", "kind": "float", "low": 1.0, "high": 2.5, "log": True, "step": None, "choices": None},
        {
            "name": "y",
            "kind": "categorical",
            "low": None,
            "high": None,
            "log": False,
            "step": None,
            "choices": [True, 1, "a"],
        },
    ],
    "outside": ["augment.strength"],
    "counts": {"finished": 1, "pruned": 0, "failed": 0, "running": 0, "waiting": 0, "retried": 0},
    "seconds": 4.5,
    "epochs": 1,
    "epochs_full": 1,
    "best": 0,
    "front": [],
    "trials": [TRIAL],
    "importances": {"training.batch_size": 1.0},
    "importances_missing": None,
    "importances_about": {
        "evaluator": "PED-ANOVA",
        "num_best": 5,
        "num_trials": 30,
        "trials": {"training.batch_size": 9},
        "conditional": ["training.batch_size"],
        "sentence": "How much.",
    },
    "confirmation": {
        "metric": "joint.macro_f1",
        "compared": "joint.macro_f1",
        "num_seeds": 3,
        "num_folds": 5,
        "num_groups": 141,
        "num_images": 987,
        "level": 0.95,
        "winner": 1,
        "chosen": 0,
        "sentence": "It does not.",
        "luck_sentence": "All of it.",
        "rows": [CONFIRMED],
    },
    "sentences": ["One."],
}


def test_a_file_is_the_same_when_it_is_written_again_but_for_its_versions() -> None:
    again = to_json_data(parse_record(json.dumps(STUDY), StudyReport, PATH))
    expected = {**STUDY, "confirmation": {**STUDY["confirmation"], "version": 1}, "version": 1}
    assert json.dumps(again) == json.dumps(expected)  # a whole number stays one, and keys their order


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("trials", 0, "state"), "done", "trials.0.state: input should be 'finished', 'pruned'"),
        (("trials", 0, "history", 0, "joint"), "x", "trials.0.history.0.joint: input should be a valid number"),
        (("confirmation", "rows", 0, "pooled_ci"), [1], "confirmation.rows.0.pooled_ci.1: field required"),
        (("counts", "retried"), ..., "counts.retried: field required"),
        (("created",), "yesterday", "created: "),
    ],
)
def test_a_damaged_report_names_file_and_key(path: tuple[Any, ...], value: object, line: str) -> None:
    data = json.loads(json.dumps(STUDY))
    *above, key = path
    parent: Any = data
    for step in above:
        parent = parent[step]
    if value is ...:
        del parent[key]
    else:
        parent[key] = value
    with pytest.raises(UserError) as caught:
        parse_record(json.dumps(data), StudyReport, PATH)
    assert str(caught.value).startswith(f"report.json: is damaged: {line}")
    assert "\n" not in str(caught.value)
