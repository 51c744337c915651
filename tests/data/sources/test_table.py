"""The table: its settings, its queries, and one that is not in the data root."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multitask.data.sources.table import TableSettings
from multitask.errors import UserError
from multitask.labels import LabelSpace, Task
from multitask.settings import problems
from tests.data.sources.garments import ROWS, SPACE, read, write


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "line"),
        [
            ({"file": "train.txt"}, "file: must end in .csv, .tsv or .parquet, found 'train.txt'"),
            ({"encoding": "latin-9x"}, "encoding: must be one that Python knows, as cp1252, found 'latin-9x'"),
            ({"encoding": "rot13"}, "encoding: must be one that Python knows, as cp1252, found 'rot13'"),
            ({"delimiter": "x"}, "delimiter: input should be ',', ';', "),
            (
                {"file": "a.parquet", "query_file": "b.parquet", "delimiter": ";"},
                "delimiter: ';' would be ignored: a Parquet file says itself",
            ),
            ({"file": "../train.csv"}, "file: leaves the data root: '../train.csv'"),
            ({"query_file": "/q.csv"}, "query_file: must be a path inside the data root, found '/q.csv'"),
            ({"splits": {"val": []}}, "splits: would be ignored, since split names no column"),
            ({"split": "x", "splits": {"val": ["TEST"]}}, "splits.test: 'test' stands in val too"),
            ({"split": "x", "splits": {"train": []}}, "splits.train: "),
            ({"groups": "x"}, "groups: unknown key; did you mean 'group'?"),
            ({"box": ["a", "b"]}, "box"),
        ],
    )
    def test_that_cannot_be(self, settings: dict[str, Any], line: str) -> None:
        lines = problems(TableSettings, settings)
        assert lines[0].startswith(line)

    def test_must_fit_the_label_space(self) -> None:
        for tasks, line in (
            ({"garmen": {}}, "tasks.garmen: labels.tasks has no such task; did you mean 'garment'?"),
            ({"price": {"number": "x"}}, "tasks.price.number: 'x' would be ignored: a binned task's own column"),
        ):
            with pytest.raises(UserError) as caught:
                TableSettings.model_validate({"tasks": tasks}).check(SPACE)
            assert str(caught.value).startswith(line)


class TestQueries:
    def test_are_the_rows_of_a_table_with_paths(self, tmp_path: Path) -> None:
        write(tmp_path, ["b.jpg,0,0,5,5", "a.jpg,,,,"], header="path,l,t,r,b", name="queries.csv")
        for name in ("a.jpg", "b.jpg"):
            (tmp_path / name).touch()
        queries = TableSettings(box=("l", "t", "r", "b")).queries(tmp_path)
        assert list(queries.ids) == ["b.jpg", "a.jpg"]
        np.testing.assert_array_equal(queries.boxes, [[0, 0, 5, 5], [np.nan] * 4])
        assert list(queries.table(np.array([3, 4]), SPACE)) == [
            ("path", "garment", "price", "class"),
            ("b.jpg", "skirt", "dear", "skirt/dear"),
            ("a.jpg", "trousers", "cheap", "trousers/cheap"),
        ]
        called_path = LabelSpace([Task("path", ("a", "b"))])
        assert next(iter(queries.table(np.array([0, 1]), called_path))) == ("path of image", "path", "class")
        (tmp_path / "a.jpg").unlink()
        with pytest.raises(UserError, match=r"a\.jpg: no such file$"):
            TableSettings().queries(tmp_path)

    def test_are_answered_where_the_labels_stand_too(self, tmp_path: Path) -> None:
        write(tmp_path, ROWS, name="queries.csv")
        assert TableSettings(split="part").answered(tmp_path, SPACE).labels.tolist() == [[0, 0], [1, 1], [-1, -1]]
        write(tmp_path, ["a.jpg"], header="path", name="queries.csv")
        with pytest.raises(UserError, match=r"queries\.csv: has no column 'garment'"):
            TableSettings().answered(tmp_path, SPACE)


class TestTableElsewhere:
    def test_its_paths_are_relative_to_the_root(self, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        write(tmp_path, ROWS, name="labels.csv")
        samples = read(tmp_path / "root", table=str(tmp_path / "labels.csv"))
        assert samples.root == tmp_path / "root"
        assert samples.images.tolist() == ["a.jpg", "b/c.jpg", "d.jpg"]

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"table": "x.csv", "file": "y.csv"}, "file: 'y.csv' would be ignored beside table"),
            ({"table": "x.txt"}, "table: must end in .csv, .tsv or .parquet"),
        ],
    )
    def test_what_is_refused(self, settings: dict[str, str], reason: str) -> None:
        assert reason in problems(TableSettings, settings)[0]
