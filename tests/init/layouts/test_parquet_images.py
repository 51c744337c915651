from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.init.layouts.known import Make, layout_of, refused
from tests.init.made import add_images, image_bytes


def images_in_parquet(file: Path, num: int, *, described: bool = False, **columns: Any) -> None:
    """As ``Dataset.to_parquet`` writes it, or any program a column of bytes."""
    rows = {
        "image": [{"bytes": image_bytes(".png"), "path": f"{row}.png"} for row in range(num)],
        "kind": [row % 2 if row else -1 for row in range(num)],
        "age": [row // 2 for row in range(num)],
        "owner_id": [f"{file.stem}{row // 2}" for row in range(num)],
        "boxes": [[1.0, 2.0]] * num,
        **columns,
    }
    features = {"kind": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    described_as = {"huggingface": json.dumps({"info": {"features": features}})} if described else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows).replace_schema_metadata(described_as), file)


def test_parquet_files_of_images(tmp_path: Path, written: Make) -> None:
    for split in ("train", "validation"):
        images_in_parquet(tmp_path / "set" / "data" / f"{split}-00000-of-00001.parquet", 40, described=True)
    assert layout_of(tmp_path / "set") == "parquet_images"
    found = written(tmp_path / "set")
    assert Path(found.config.data.root) == tmp_path / "out" / "config_images"
    assert np.bincount(found.samples.sides).tolist() == [40, 40]
    assert found.classes()["kind"] == ("cat", "dog")
    assert found.labels("train/00000-0000007.png")["kind"] == "dog"
    assert found.labels("train/00000-0000000.png")["kind"] is None
    assert found.samples.num_groups == 40
    assert all(path.read_bytes() == image_bytes(".png") for path in list(found.samples.paths())[:3])


def test_numbers_of_single_precision_are_written_as_they_are_spelt(tmp_path: Path, written: Make) -> None:
    prices = pa.array([(row // 2) / 10 for row in range(40)], pa.float32())
    images_in_parquet(tmp_path / "set" / "a.parquet", 40, age=prices, kind=["cat", "dog"] * 20)
    found = written(tmp_path / "set" / "a.parquet")
    words = [line.split(",") for line in next((tmp_path / "out").glob("*.csv")).read_text().splitlines()]
    assert {row[words[0].index("age")] for row in words[1:]} == {str(row / 10).removesuffix(".0") for row in range(20)}
    assert found.samples.numbers[:, found.samples.space.task_names.index("age")].max() == 1.9


@pytest.mark.parametrize("form", ["bytes", "path"])
def test_one_parquet_file_of_bytes_or_of_paths(tmp_path: Path, written: Make, form: str) -> None:
    add_images(tmp_path / "set", (f"{row}.jpg" for row in range(40)))
    cells: list[Any] = [image_bytes()] * 39 + [None]
    if form == "path":
        cells = [{"bytes": None, "path": f"{row}.jpg"} for row in range(39)] + [None]
    images = pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()}) if form == "path" else pa.binary())
    images_in_parquet(tmp_path / "set" / "a.parquet", 40, image=images, kind=["cat", "dog"] * 20)
    assert layout_of(tmp_path / "set" / "a.parquet") == "parquet_images"
    found = written(tmp_path / "set" / "a.parquet")
    assert len(found.samples) == 39
    assert "1 row has no image and is left out" in found.proposal.check
    assert found.labels("images/00000-0000007.jpg")["kind"] == "dog"


def test_parquet_files_of_images_that_are_damaged(tmp_path: Path) -> None:
    file = tmp_path / "set" / "a.parquet"
    images_in_parquet(file, 6, image=[{"bytes": b"no image", "path": None}] * 6)
    assert "row 1: is no image of a format that is read" in refused(file)
    images_in_parquet(file, 6, image=[{"bytes": None, "path": "gone.png"}] * 6)
    assert "row 1: its image gone.png cannot be read: No such file" in refused(file)
    images_in_parquet(file, 6, described=True, kind=[7] * 6)
    assert "row 1: kind: is none of 2 classes: 7" in refused(file)
    images_in_parquet(file.with_name("b.parquet"), 6, image=["b.png"] * 6)
    images_in_parquet(file, 6)
    assert "b.parquet: has no column of images" in refused(tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
