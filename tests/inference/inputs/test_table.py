from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from multitask.errors import UserError
from multitask.inference.inputs.base import InputOptions
from multitask.inference.inputs.table import ImageTable

DEFAULT = InputOptions()
BOX = InputOptions(box_columns=("l", "t", "r", "b"))


def table(path: Path, text: str, options: InputOptions = DEFAULT) -> ImageTable:
    path.write_text(text, encoding="utf-8")
    return ImageTable(str(path), options)


def test_paths_are_relative_to_the_tables_folder_and_named_as_they_are_written(
    add_images: Callable[..., Path], tmp_path: Path
) -> None:
    add_images("set/sub/a.png", "b.png")
    inputs = table(tmp_path / "set/t.csv", f"id,path\n1,sub/a.png\n2,sub\\a.png\n3,{tmp_path}/b.png\n4,sub/a.png\n")
    assert [item.name for item in inputs] == ["sub/a.png", "sub\\a.png", f"{tmp_path}/b.png", "sub/a.png"]
    assert all(isinstance(item.image, Path) and item.image.is_file() for item in inputs)
    assert inputs.count == 4


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str, tmp_path: Path) -> None:
    text = f"sep={delimiter}\nid{delimiter}path\n1{delimiter}a.png\n"
    assert [item.name for item in table(tmp_path / "t.csv", text)] == ["a.png"]
    (tmp_path / "u.tsv").write_text(text.partition("\n")[2], encoding="utf-16")
    assert [item.name for item in ImageTable(str(tmp_path / "u.tsv"), InputOptions())] == ["a.png"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_groups_and_boxes(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{suffix}"
    data = pd.DataFrame(
        {
            "file": ["a.png", "b.png", "c.png"],
            "who": [7.0, None, 8.0],
            **{name: [edge, None, 2 * edge] for name, edge in zip("ltrb", (1.0, 2.0, 3.0, 4.5), strict=True)},
        }
    )
    data.to_csv(path, index=False) if suffix == ".csv" else data.to_parquet(path)
    options = InputOptions("file", "who", ("l", "t", "r", "b"))
    items = list(ImageTable(str(path), options))
    boxes = np.array([item.box for item in items])
    np.testing.assert_array_equal(boxes, [[1, 2, 3, 4.5], [np.nan] * 4, [2, 4, 6, 9]])
    assert [item.group for item in items][1] is None
    assert items[0].group != items[2].group
    if suffix == ".parquet":
        assert items[0].group == "7"


@pytest.mark.parametrize("word", ["", " ", "nan", "None"])
def test_a_group_that_nobody_knows_is_none(word: str, tmp_path: Path) -> None:
    [item] = table(tmp_path / "t.csv", f"path,who\na.png,{word}\n", InputOptions(group_column="who"))
    assert item.group is None


@pytest.mark.parametrize(
    ("text", "options", "match"),
    [
        (
            "file,who\na.png,1\n",
            InputOptions(),
            "t.csv: has no column 'path'; .*; --path-column says",
        ),
        ("path\na.png\n", InputOptions(group_column="who"), "t.csv: has no column 'who'.*--group-column says"),
        ("path,l,t,r\na.png,0,0,1\n", BOX, "t.csv: has no column 'b'.*--box-columns says"),
        ("path,l,t,r,b\na.png,0,0,1,x\n", BOX, "t.csv, line 2: b: must be a number, found 'x'"),
        ("path,l,t,r,b\na.png,0,0,1,\n", BOX, "t.csv, line 2: l, t, r, b: must be left < right"),
        ("path,who\na.png,1\n,2\n", InputOptions(), "t.csv, line 3: path: is empty"),
        ("path\n", InputOptions(), "t.csv: holds no rows"),
        ("", InputOptions(), "t.csv: is empty"),
        ("path,who\na.png\n", InputOptions(), "t.csv, line 2: must have 2 cells, found 1"),
    ],
)
def test_what_is_wrong_is_said_before_any_image_is_asked_for(
    text: str, options: InputOptions, match: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=match):
        table(tmp_path / "t.csv", text, options)


def test_where_unreadable_images_are_skipped_rows_without_a_path_or_a_box_are_such(tmp_path: Path) -> None:
    text = "path,who,l,t,r,b\na.png,1,0,0,1,1\n,2,0,0,1,1\nb.png,3,0,0,1,x\n"
    options = InputOptions(group_column="who", box_columns=("l", "t", "r", "b"), skip_unreadable=True)
    inputs = table(tmp_path / "t.csv", text, options)
    assert inputs.count == 3
    assert [(item.name, item.group, item.error and str(item.error)) for item in inputs] == [
        ("a.png", "1", None),
        ("", "2", f"{tmp_path}/t.csv, line 3: path: is empty"),
        ("b.png", "3", f"{tmp_path}/t.csv, line 4: b: must be a number, found 'x'"),
    ]


def test_other_encodings_are_refused_without_naming_settings_that_there_are_not(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("path\nä.png\n".encode("cp1252"))
    with pytest.raises(UserError, match="save it as UTF-8") as caught:
        ImageTable(str(path), InputOptions())
    assert "source" not in str(caught.value)
    with pytest.raises(UserError, match=r"nothere\.csv: no such file"):
        ImageTable(str(tmp_path / "nothere.csv"), InputOptions())


def test_a_column_of_images_is_no_column_of_paths(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": [{"bytes": b"", "path": "1.jpg"}], "file": ["1.jpg"]}), path)
    assert [item.name for item in ImageTable(str(path), InputOptions(path_column="file"))] == ["1.jpg"]
    with pytest.raises(
        UserError, match="column 'image' holds images, not words; `multitask init` writes them to files"
    ):
        ImageTable(str(path), InputOptions(path_column="image"))
