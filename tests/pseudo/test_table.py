"""The table of pseudo-labels: the folder that it is relative to, and the rounds that labels keep."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from multitask.inference.group_keys import group_key
from multitask.labels import MISSING
from multitask.pseudo.report_schema import PseudoReport, report_path
from multitask.pseudo.table import PseudoLabels, read_rounds, root_of, write_table
from multitask.runs.config import read_run
from multitask.utils.records import record_to_json
from multitask.utils.strings import Strings


@pytest.mark.parametrize(
    "paths",
    [["/a/b/c/1.jpg"], ["/a/b/1.jpg", "/a/bc/1.jpg"], ["/a/1.jpg", "/a/b/c/d.jpg"], ["/1.jpg"], ["/ab/1.jpg"], []],
)
def test_the_root_is_the_folder_that_all_are_in(paths: list[str]) -> None:
    expected = os.path.commonpath(["/a/b", *map(os.path.dirname, paths)])
    assert root_of(Path("/a/b/labels.csv"), paths) == expected


def test_labels_that_stay_keep_their_round(labelled: tuple[Path, PseudoReport], folded: Path, tmp_path: Path) -> None:
    space, report = read_run(folded).config.space(), labelled[1]
    paths = [str(tmp_path / f"{number}.jpg") for number in range(4)]
    probs = {task.name: np.full((4, task.num_classes), 0.5) for task in space.tasks}

    def given(rows: list[list[int]], number: int) -> PseudoLabels:
        groups = Strings.of(map(group_key, ["a", None, "a", None]))
        return PseudoLabels.of(space, Strings.of(paths), groups, np.array(rows), probs, number)

    before = given([[0, 1, 2], [1, MISSING, MISSING], [MISSING] * 3, [2, 0, 0]], 1)
    table = tmp_path / "labels.csv"
    write_table(table, before, 1.0, "")
    report_path(table).write_text(record_to_json(replace(report, root=str(tmp_path))))
    after = given([[0, MISSING, 1], [1, 1, MISSING], [0, 0, 0], [MISSING] * 3], 2)
    assert after.since(read_rounds(table, space)).rounds.tolist() == [[1, 0, 2], [1, 2, 0], [2, 2, 2]]
