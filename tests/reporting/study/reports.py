"""Made-up reports of studies, as those of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from multitask.reporting.study.report_schema import StudyReport
from multitask.utils.files import to_json
from multitask.utils.records import parse_record

_COUNTS = dict.fromkeys(("finished", "pruned", "failed", "running", "waiting", "retried"), 0)
_STUDY = {
    "study": "demo",
    "created": "2026-11-24T10:00:00+00:00",
    "versions": {},
    "base": "configs/demo.yaml",
    "objectives": [{"metric": "joint.macro_f1", "direction": "maximize"}],
    "sampler": "tpe",
    "pruner": "median",
    "seed": 0,
    "params": [],
    "outside": [],
    "counts": _COUNTS,
    "seconds": 0.0,
    "epochs": 0,
    "epochs_full": 0,
    "importances_missing": None,
    "importances_about": None,
    "confirmation": None,
    "sentences": [],
}
_TRIAL = {
    "best_score": None,
    "params": {},
    "changes": {},
    "weights": None,
    "scores": None,
    "history": [],
    "num_epochs": 8,
    "seconds": None,
    "started": None,
    "finished": None,
    "failure": None,
    "note": None,
}
_PARAM = {"kind": "float", "low": 0.0, "high": 1.0, "log": False, "step": None, "choices": None}
_ABOUT = {"evaluator": "PED-ANOVA", "num_best": 5, "trials": {}, "conditional": [], "sentence": ""}


def study_report(data: dict[str, Any]) -> StudyReport:
    """A report from what a test says of it; what it leaves out is filled in."""
    whole = {**_STUDY, **data}
    whole["params"] = [{**_PARAM, **param} for param in whole["params"]]
    whole["trials"] = [{**_TRIAL, **trial} for trial in whole["trials"]]
    if whole["importances_about"] is not None:
        whole["importances_about"] = {**_ABOUT, **whole["importances_about"]}
    if whole["confirmation"] is not None:
        found = whole["confirmation"]
        metric = whole["objectives"][0]["metric"]
        whole["confirmation"] = {
            "metric": metric,
            "compared": "joint.macro_f1",
            "chosen": found["winner"] or 0,
            **found,
        }
    return parse_record(to_json(whole), StudyReport, Path("report.json"))
