from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from multitask.evaluation.report_overview import RunOverview
from multitask.evaluation.report_schema import RunReport
from multitask.reporting import console as reporting_console
from multitask.reporting.run import console
from multitask.utils.records import parse_record
from tests.reporting.run.made_report import TINY, make_report, unlabelled_whole


def test_a_list_of_runs_of_many_tasks_breaks_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    for module in (reporting_console, console):
        monkeypatch.setattr(module, "out", Console(file=written, width=80))
    tasks = [f"task{number}" for number in range(9)]
    row = {"epochs": "12, best 10", "macro_f1": 0.42, "macro_f1_ci": (0.37, 0.47), "state": "reported"}
    runs = [RunOverview(name=f"study/trials/000{task[-1]}", tasks={task: 0.5}, **row) for task in tasks]  # type: ignore[arg-type]
    console.show_runs([*runs, RunOverview(name="x", epochs="", state=f"damaged: {'a reason ' * 9}")], tasks)
    lines = written.getvalue().splitlines()
    assert lines[0].split()[-2:] == ["task0", "state"]
    assert [line.split()[0] for line in lines[1:10]] == [f"study/trials/000{number}" for number in range(9)]
    assert all("reported" in line for line in lines[1:10])
    assert lines[-1] == "not shown for want of room: task1, task2, task3, task4, task5, task6, task7, task8"


def test_joint_scores_that_are_unknown_have_no_table_and_no_legend(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_report(parse_record(json.dumps(unlabelled_whole()), RunReport, Path("report.json")))
    text = capsys.readouterr().out
    assert "decode rule: independent" in text
    assert "joint: unknown, since no image has all its labels" in text
    assert "less independent" not in text
    assert "perfect: the joint" not in text


def test_scores_of_the_classes_are_of_the_images_that_have_all_labels(capsys: pytest.CaptureFixture[str]) -> None:
    report = make_report(TINY)
    report["joint"] |= {"num_images": 70, "num_groups": 10}
    console.show_report(parse_record(json.dumps(report), RunReport, Path("report.json")))
    text = capsys.readouterr().out
    assert "350 images of 50 groups" in text
    assert "joint: on the 70 images of 10 groups that have all their labels" in text
    console.show_report(parse_record(json.dumps(make_report(TINY)), RunReport, Path("report.json")))
    assert "that have all their labels" not in capsys.readouterr().out
