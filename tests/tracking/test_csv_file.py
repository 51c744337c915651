from __future__ import annotations

from pathlib import Path

from multitask.tracking.csv_file import CsvSettings
from multitask.tracking.tracker import TrackedRun


def test_a_row_for_each_number_and_a_resumed_run_doubles_none(tmp_path: Path) -> None:
    first = CsvSettings().open(TrackedRun(tmp_path, {}))
    first.epoch(1, {"lr": 0.1, "val/a": 1 / 3})
    first.epoch(2, {"lr": 9.0})
    second = CsvSettings().open(TrackedRun(tmp_path, {}, num_epochs=1))
    second.epoch(2, {"lr": 0.2})
    second.report({"report/a": 0.5}, [])
    assert (tmp_path / "tracking.csv").read_text().splitlines() == [
        "epoch,name,value", "1,lr,0.1", f"1,val/a,{1 / 3!r}", "2,lr,0.2", ",report/a,0.5",
    ]  # fmt: skip


def test_a_run_that_begins_anew_begins_the_file_anew(tmp_path: Path) -> None:
    (tmp_path / "tracking.csv").write_text("epoch,name,value\n1,lr,7\n")
    CsvSettings().open(TrackedRun(tmp_path, {})).epoch(1, {"lr": 0.1})
    assert (tmp_path / "tracking.csv").read_text() == "epoch,name,value\n1,lr,0.1\n"
