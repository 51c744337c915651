from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multitask.evaluation.prediction_table import places_of, read_table


def write(folder: Path, text: str) -> Path:
    path = folder / "predictions.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_probabilities_are_numbers_and_all_else_texts(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "image,p(mask=on),mask,p(mask=off)\n1.jpg,0.25,on,0.75\n2.jpg,1,,0\n"))
    assert list(table) == ["image", "p(mask=on)", "mask", "p(mask=off)"]
    assert table["image"].tolist() == ["1.jpg", "2.jpg"]
    assert table["mask"].tolist() == ["on", ""]
    np.testing.assert_array_equal(table["p(mask=on)"], [0.25, 1.0])
    np.testing.assert_array_equal(table["p(mask=off)"], [0.75, 0.0])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("image,mask\n1.jpg,on\n2.jpg\n", "line 3 holds 1 values, the header names 2"),
        ("image,p(mask=on)\n1.jpg,1.1\n", "a probability is not between 0 and 1"),
        ("image,p(mask=on)\n1.jpg,nan\n", "a probability is not between 0 and 1"),
        ("image,p(mask=on)\n1.jpg,half\n", "could not convert"),
        ("image,image\n1.jpg,1.jpg\n", "column 'image' stands twice"),
    ],
)
def test_a_damaged_table_is_refused(text: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=line):
        read_table(write(tmp_path, text))


def test_names_have_places_and_others_are_named() -> None:
    assert places_of("mask", np.array(["off", "on", "off"], dtype=object), ("on", "off")).tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match=r"^mask holds 'maybe'$"):
        places_of("mask", np.array(["on", "maybe"], dtype=object), ("on", "off"))
