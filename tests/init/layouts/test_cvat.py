from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.init.layouts.known import Make, layout_of, refused
from tests.init.made import add_images, write_lines

META = (
    "<meta><task><labels><label><name>face</name><attributes>"
    "<attribute><name>size</name><input_type>select</input_type><values>S\nM\nL</values></attribute>"
    "</attributes></label></labels></task></meta>"
)


def cvat(folder: Path, images: list[str], meta: str = META) -> Path:
    file = folder / "annotations.xml"
    write_lines(file, '<?xml version="1.0" encoding="utf-8"?>', "<annotations>", meta, *images, "</annotations>")
    return file


def tag(label: str, **attributes: object) -> str:
    inner = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in attributes.items())
    return f'<tag label="{label}" source="manual">{inner}</tag>'


def test_cvat(tmp_path: Path, written: Make) -> None:
    add_images(tmp_path / "set", (f"images/a/{row}.png" for row in range(41)))
    rows = [
        f'<image id="{row}" name="a/{row}.png" width="40" height="48" subset="{("train", "val")[row % 2]}">'
        f"{tag('face', age=row // 2 + 10, size='SML'[row % 3], glasses=('true', 'false')[row // 2 % 2])}</image>"
        for row in range(40)
    ]
    box = '<image id="40" name="a/40.png"><box label="face" xtl="1" ytl="1" xbr="2" ybr="2"/></image>'
    file = cvat(tmp_path / "set", [*rows, box])
    assert layout_of(tmp_path / "set") == layout_of(file) == "cvat"
    found = written(tmp_path / "set")
    assert found.classes()["size"] == ("S", "M", "L")
    assert found.classes()["glasses"] == ("false", "true")
    assert found.config.space().tasks[0].kind == "binned"
    row = found.labels("images/a/7.png")
    assert (row["size"], row["glasses"]) == ("M", "false")
    assert np.bincount(found.samples.sides).tolist() == [20, 20]
    assert "1 image has no label and is left out" in found.proposal.check


@pytest.mark.parametrize(
    ("several", "tasks"), [(False, {"tag": ("cat", "dog")}), (True, {"cat": ("no", "yes"), "sleepy": ("no", "yes")})]
)
def test_cvat_labels_of_tags(tmp_path: Path, written: Make, several: bool, tasks: dict[str, tuple[str, ...]]) -> None:
    add_images(tmp_path / "set", (f"{row}.png" for row in range(24)))
    tags = [tag(("cat", "dog")[row % 2]) for row in range(24)]
    if several:
        tags = [(tag("cat") if row % 2 else "") + (tag("sleepy") if row % 3 else tag("cat")) for row in range(24)]
    cvat(tmp_path / "set", [f'<image id="{row}" name="{row}.png">{tags[row]}</image>' for row in range(24)], "")
    assert written(tmp_path / "set").classes() == tasks


def test_an_attribute_of_several_labels_is_one_task_where_values_are_common(tmp_path: Path, written: Make) -> None:
    add_images(tmp_path / "set", (f"{row}.png" for row in range(48)))
    tags = [
        tag("car", colour=("red", "blue")[row // 2 % 2], kind=("suv", "taxi")[row // 4 % 2])
        if row % 2
        else tag("bike", colour=("red", "green")[row // 2 % 2], kind=("race", "city")[row // 4 % 2])
        for row in range(48)
    ]
    cvat(tmp_path / "set", [f'<image id="{row}" name="{row}.png">{tags[row]}</image>' for row in range(48)], "")
    found = written(tmp_path / "set", labels=("tag", "colour", "bike_kind", "car_kind"))
    assert {name: set(classes) for name, classes in found.classes().items()} == {
        "tag": {"bike", "car"},
        "colour": {"red", "blue", "green"},
        "bike_kind": {"race", "city"},
        "car_kind": {"suv", "taxi"},
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<annotations><image name='0.png'>", "is damaged, or no XML"),
        ("", "is damaged, or no XML"),
        ("<annotations></annotations>", "holds no images; export as 'CVAT for images 1.1'"),
        ("<annotations><image name='0.png'/></annotations>", "no image has a tag"),
        ('<!DOCTYPE a [<!ENTITY a "b">]><annotations/>', "declares entities"),
        (
            "<annotations><image name='x.png'><tag label='a'/></image><image name='y.png'><tag label='b'/></image>"
            "</annotations>",
            "names images, but none is below",
        ),
    ],
)
def test_cvat_that_is_damaged(tmp_path: Path, text: str, reason: str) -> None:
    add_images(tmp_path / "set", ["0.png"])
    (tmp_path / "set" / "annotations.xml").write_text(text)
    assert reason in refused(tmp_path / "set")
