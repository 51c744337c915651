"""An audit's files: their keys, and what is said of damaged ones."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from multitask.errors import UserError
from multitask.reporting.audit.report_schema import AuditReport, CorrectionsReport
from multitask.utils.records import parse_record, to_json_data

SUSPECT: dict[str, Any] = {
    "head": "age",
    "group": "ann",
    "images": ["ann/0.jpg", "ann/1.jpg"],
    "given": "young",
    "suggested": "old",
    "score": 0.1,
    "self_confidence": 0.1,
    "confidence": 0.8,
    "disagrees": False,
    "changes": [{"path": "ann", "task": "age", "given": "young", "suggested": "old"}],
}
HEAD = {
    "head": "age",
    "unit": "group",
    "num_units": 12,
    "num_suspects": 1,
    "num_listed": 1,
    "num_sure": 1,
    "accuracy": None,
    "commonest": 0.5,
    "beats_commonest": True,
    "temperature": 1.5,
    "correlation": None,
    "noise": 0.02,
}
AUDIT: dict[str, Any] = {
    "run": "demo",
    "constant": ["age"],
    "nearly_constant": {"mask": 0.97},
    "heads": [HEAD],
    "num_suspects": 1,
    "num_shown": 1,
    "num_sure": 1,
    "sentences": ["The one suspect label is more probably wrong than right."],
    "suspects": [SUSPECT],
}
FIGURE = {"value": 0.5, "ci": [0.4, 0.6]}
GAP = {"run": "after", "metric": "joint.macro_f1", "num_images": 84, "num_groups": 12, "value": 0, "low": -1, "high": 1}
LABELLING = {
    "num_images": 84,
    "num_groups": 12,
    "scores": {"joint.macro_f1": {"before": FIGURE, "after": {"value": None, "ci": None}}},
    "differences": [GAP],
}
APPLIED: dict[str, Any] = {
    "run": "demo",
    "corrections": "flip.yaml",
    "num_changed": {"age": 7, "drop": 0},
    "corrected": LABELLING,
    "given": LABELLING,
}
PATH = Path("audit.json")


@pytest.mark.parametrize(("data", "kind"), [(AUDIT, AuditReport), (APPLIED, CorrectionsReport)])
def test_a_file_is_the_same_when_it_is_written_again_but_for_its_version(data: dict[str, Any], kind: type) -> None:
    again = to_json_data(parse_record(json.dumps(data), kind, PATH))
    assert again == {**data, "version": 1}
    assert list(again) == [*data, "version"]


def test_a_damaged_file_names_file_and_key() -> None:
    data = json.loads(json.dumps(APPLIED))  # both labellings are one object
    data["given"]["differences"][0]["low"] = "x"
    with pytest.raises(
        UserError, match=r"^audit\.json: is damaged: given\.differences\.0\.low: input should be a valid"
    ):
        parse_record(json.dumps(data), CorrectionsReport, PATH)
    data = copy.deepcopy(AUDIT)
    del data["suspects"][0]["changes"]
    with pytest.raises(UserError, match=r"^audit\.json: is damaged: suspects\.0\.changes: field required$"):
        parse_record(json.dumps(data), AuditReport, PATH)
