"""What every format keeps: all say the same of the same rows, whatever the batches."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from multitask.inference.outputs import WRITERS, RowLayout, Rows, open_writer

MakeRows = Callable[..., Rows]
LAYOUTS = [RowLayout(), RowLayout(probabilities=True, groups=True, errors=True)]
SHADES = [0, 120, None, 200, 80, None, 40]


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of an output as a table has them, None where nothing is known."""
    if path.suffix == ".parquet":
        return [_plain(row) for row in pd.read_parquet(path).to_dict("records")]
    if path.suffix == ".csv":
        return [_plain(row) for row in pd.read_csv(path, float_precision="round_trip").to_dict("records")]
    text = path.read_text()
    objects = json.loads(text) if path.suffix == ".json" else list(map(json.loads, text.splitlines()))
    return [_flat(item) for item in objects]


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        str(name): None if value is None or (isinstance(value, float) and math.isnan(value)) else value
        for name, value in row.items()
    }


def _flat(item: dict[str, Any]) -> dict[str, Any]:
    """An object's values under the names that columns have."""
    labels = item["labels"] or {}
    row = {key: item[key] for key in ("image", "group", "class", "error") if key in item} | labels
    probs = {**(item["probs"] or {}), "class": item["class_probs"] or {}}
    for name, of_one in probs.items():
        row |= {f"p({name}={label})": value for label, value in of_one.items()}
        if of_one:
            row[f"p({name})"] = of_one[labels.get(name, item["class"])]
    return row


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", WRITERS)
def test_rows_are_those_that_were_written(suffix: str, layout: RowLayout, make_rows: MakeRows, tmp_path: Path) -> None:
    shades = SHADES if layout.errors else [shade for shade in SHADES if shade is not None]
    path = tmp_path / f"out{suffix}"
    with open_writer(path, layout) as writer:
        for start in (0, 3):
            part = shades[start : start + 3 if start == 0 else None]
            writer.write(make_rows(part, [f"{start + row}.png" for row in range(len(part))]))
    found = read(path)
    assert [row["image"] for row in found] == [f"{row}.png" for row in range(len(shades))]
    for row, shade in zip(found, shades, strict=True):
        if shade is None:
            assert row["error"] == "no such file"
            assert row.get("class") is row.get("colour") is row.get("p(class)") is row.get("p(class=red/small)") is None
            continue
        colour, size = ("red", "blue")[shade // 120], ("small", "medium", "large")[shade // 40 % 3]
        assert (row["colour"], row["size"], row["class"]) == (colour, size, f"{colour}/{size}")
        assert (row["p(colour)"], row["p(size)"], row["p(class)"]) == pytest.approx((0.9, 0.9, 0.81))
        assert row.get("error") is None
        if layout.probabilities:
            assert row[f"p(class={colour}/{size})"] == row["p(class)"]
            assert sum(row[f"p(size={name})"] for name in ("small", "medium", "large")) == pytest.approx(1)
            assert row["p(colour=red)"] == pytest.approx(0.9 if colour == "red" else 0.1)
    if suffix == ".csv" or suffix == ".parquet":
        names = ["image", "colour", "size", "class", "p(colour)", "p(size)", "p(class)"]
        if layout.groups:
            names.insert(1, "group")
        assert list(found[0])[: len(names)] == names
        assert ("p(size=large)" in found[0]) == layout.probabilities
        assert (list(found[0])[-1] == "error") == layout.errors


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_batch_of_unreadable_images_changes_no_column(suffix: str, make_rows: MakeRows, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    with open_writer(path, RowLayout(errors=True)) as writer:
        writer.write(make_rows([None, None]))
        writer.write(make_rows([40]))
    found = read(path)
    assert [row.get("size") for row in found] == [None, None, "medium"]
    assert found[2]["p(size)"] == pytest.approx(0.9)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_name_that_is_no_utf_8_is_written_out(suffix: str, make_rows: MakeRows, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    with open_writer(path, RowLayout()) as writer:
        writer.write(make_rows([40, 40], ["\udce4.png", 'ä,"\n.png']))
    assert [row["image"] for row in read(path)] == ["\\udce4.png", 'ä,"\n.png']


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_error_leaves_what_was_there(suffix: str, make_rows: MakeRows, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_text("from before")

    def interrupted() -> None:
        with open_writer(path, RowLayout()) as writer:
            writer.write(make_rows([40]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "from before"
    assert list(tmp_path.iterdir()) == [path]
