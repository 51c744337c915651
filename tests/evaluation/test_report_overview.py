from __future__ import annotations

import json
from pathlib import Path

from multitask.evaluation.report_overview import ReportOverview, ScoreOverview
from multitask.utils.records import parse_record


def test_a_list_of_runs_reads_the_scores_of_any_report() -> None:
    data = {"joint": {"macro_f1": 0.5}, "tasks": {"letter": {"macro_f1": None}}}
    found = parse_record(json.dumps(data), ReportOverview, Path("report.json"))
    assert found == ReportOverview(ScoreOverview(0.5), {"letter": ScoreOverview(None)})
