from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from multitask.errors import UserError
from multitask.init import Options, propose
from tests.init.layouts.known import Make, layout_of, refused
from tests.init.made import image_bytes

FEATURES = {
    "photo": {"_type": "Image"},
    "kind": {"names": ["cat", "dog"], "_type": "ClassLabel"},
    "age": {"dtype": "int64", "_type": "Value"},
    "owner_id": {"dtype": "string", "_type": "Value"},
    "boxes": {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"},
}


def saved_dataset(
    folder: Path, num: int, features: dict[str, Any] = FEATURES, data: bytes | None = None, ages: Any = None
) -> None:
    """As ``Dataset.save_to_disk`` of datasets 5.2 writes it."""
    rows = {
        "photo": [{"bytes": image_bytes(".png") if data is None else data, "path": None} for _ in range(num)],
        "kind": [row % 2 if row else -1 for row in range(num)],
        "age": [row // 2 for row in range(num)] if ages is None else ages,
        "owner_id": [f"{folder.name}{row // 2}" for row in range(num)],
        "boxes": [[1.0, 2.0]] * num,
    }
    table = pa.table(rows)
    folder.mkdir(parents=True)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as to,
    ):
        to.write_table(table)
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))


def test_hugging_face_splits(tmp_path: Path, written: Make) -> None:
    for side in ("train", "validation"):
        saved_dataset(tmp_path / "set" / side, 40)
    (tmp_path / "set" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation"]}))
    assert layout_of(tmp_path / "set") == "hugging_face"
    found = written(tmp_path / "set")
    assert Path(found.config.data.root) == tmp_path / "out" / "config_images"
    assert np.bincount(found.samples.sides).tolist() == [40, 40]
    assert found.labels("train/0000007.png")["kind"] == "dog"
    assert found.labels("train/0000000.png")["kind"] is None
    assert found.samples.num_groups == 40
    assert all(path.read_bytes() == image_bytes(".png") for path in list(found.samples.paths())[:3])
    assert "config_images: exists" in refused_beside(tmp_path)


def test_numbers_of_single_precision_are_written_as_they_are_spelt(tmp_path: Path, written: Make) -> None:
    saved_dataset(tmp_path / "set", 40, ages=pa.array([(row // 2) / 10 for row in range(40)], pa.float32()))
    numbers = written(tmp_path / "set").samples.numbers
    assert np.nanmax(numbers) == 1.9  # and not the double of its single precision


def refused_beside(tmp_path: Path) -> str:
    with pytest.raises(UserError) as caught:
        propose(tmp_path / "set", tmp_path / "out" / "config.yaml", Options())
    return str(caught.value)


def test_hugging_face_that_is_damaged(tmp_path: Path) -> None:
    def reason(**changes: Any) -> str:
        shutil.rmtree(tmp_path / "set", ignore_errors=True)
        saved_dataset(tmp_path / "set", 6, **changes)
        return refused(tmp_path / "set")

    assert "has no column of images" in reason(features={"kind": FEATURES["kind"]})
    assert "row 0: is no image of a format that is read" in reason(data=b"no image")
    assert "kind: is none of 1 classes" in reason(
        features={**FEATURES, "kind": {"names": ["a"], "_type": "ClassLabel"}}
    )
    file = tmp_path / "set" / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:50])
    assert "is damaged, or no Arrow file" in refused(tmp_path / "set")
    file.unlink()
    assert "no such file" in refused(tmp_path / "set")
    (tmp_path / "set" / "state.json").write_text("{")
    assert "is damaged, or no JSON" in refused(tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
