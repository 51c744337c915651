from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.init.layouts.known import Make, layout_of, refused
from tests.init.made import add_images, write_lines


def fairface(root: Path) -> None:
    ages, races = ("0-2", "3-9", "10-19", "20-29", "more than 70"), ("Black", "Latino_Hispanic")
    for side in ("train", "val"):
        add_images(root, (f"{side}/{row}.jpg" for row in range(1, 21)))
        rows = (
            f"{side}/{row}.jpg,{ages[row % 5]},{('Male', 'Female')[row % 2]},{races[row // 2 % 2]}"
            for row in range(1, 21)
        )
        write_lines(root / f"fairface_label_{side}.csv", "file,age,gender,race", *rows)


def test_fairface(tmp_path: Path, written: Make) -> None:
    fairface(tmp_path / "set")
    found = written(tmp_path / "set")
    assert layout_of(tmp_path / "set") == "fairface"
    task = found.config.space().tasks[0]
    assert task.kind == "ordinal"
    assert task.classes[0] == "0-2"
    assert task.classes[-1] == "more than 70"
    assert found.labels("train/7.jpg") == {"age": "10-19", "gender": "Female", "race": "Latino_Hispanic"}
    assert np.bincount(found.samples.sides).tolist() == [20, 20]


def test_fairface_of_other_columns(tmp_path: Path) -> None:
    add_images(tmp_path / "set", ["train/1.jpg"])
    write_lines(tmp_path / "set" / "fairface_label_train.csv", "file,age", "train/1.jpg,3-9")
    assert "has no column 'gender'" in refused(tmp_path / "set")
