from __future__ import annotations

import os
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.inference.outputs import WRITERS, writer_of


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("a.cvs", r"a\.cvs: must end in \.csv, \.json, \.jsonl, \.parquet, found '\.cvs'"),
        ("a", "a: must end in .*, found no suffix"),
        ("folder.csv", "is a folder; name a file"),
        ("nothere/a.csv", "there is no folder .*nothere"),
        ("pipe.csv", "is no file"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(name: str, match: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UserError, match=match):
        writer_of(tmp_path / name)


def test_the_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    assert writer_of(tmp_path / "A.CSV") is WRITERS[".csv"]
