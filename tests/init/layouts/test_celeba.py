from __future__ import annotations

from pathlib import Path

import pytest

from multitask.init import Options, propose
from tests.init.layouts.known import Make, layout_of, refused
from tests.init.made import add_images, write_lines

ATTRIBUTES = ("Bald", "Male", "Smiling", "Young")


@pytest.mark.parametrize("form", ["txt", "csv"])
def test_celeba(tmp_path: Path, written: Make, form: str) -> None:
    names = [f"{row:06d}.jpg" for row in range(1, 41)]
    add_images(tmp_path / "set", (f"img_align_celeba/{name}" for name in names), (178, 218))
    values = [[("-1", "1")[row >> bit & 1] for bit in range(4)] for row in range(40)]
    sides, persons = [str(row // 4 % 3) for row in range(40)], [str(row // 4) for row in range(40)]
    root, gap = tmp_path / "set", {"txt": "  ", "csv": ","}[form]
    rows = [gap.join([name, *words]) for name, words in zip(names, values, strict=True)]
    if form == "txt":
        write_lines(root / "Anno" / "list_attr_celeba.txt", "40", " ".join(ATTRIBUTES), *rows)
        write_lines(root / "Eval" / "list_eval_partition.txt", *map(" ".join, zip(names, sides, strict=True)))
        eyes = [f"{name} 69 109 106 113" for name in names]
        header = "lefteye_x lefteye_y righteye_x righteye_y"
        write_lines(root / "Anno" / "list_landmarks_align_celeba.txt", "40", header, *eyes)
        boxes = [f"{name} 95 71 226 313" for name in names]  # of the images before they were aligned
        write_lines(root / "Anno" / "list_bbox_celeba.txt", "40", "image_id x_1 y_1 width height", *boxes)
        write_lines(root / "Anno" / "identity_CelebA.txt", *map(" ".join, zip(names, persons, strict=True)))
    else:
        write_lines(root / "list_attr_celeba.csv", ",".join(("image_id", *ATTRIBUTES)), *rows)
        lines = map(",".join, zip(names, sides, strict=True))
        write_lines(root / "list_eval_partition.csv", "image_id,partition", *lines)
    assert layout_of(root) == "celeba"
    found = written(root)
    assert found.config.space().task_names == ("Male", "Young", "Smiling")
    assert found.labels("img_align_celeba/000011.jpg") == {"Male": "yes", "Young": "yes", "Smiling": "no"}
    assert found.samples.sides[[0, 4, 8]].tolist() == [0, 1, 2]  # train, val, test
    assert found.samples.num_groups == (10 if form == "txt" else 40)
    assert found.config.data.crop.name == ("align" if form == "txt" else "none")
    if form == "txt":
        assert found.samples.eyes[5].tolist() == [69, 109, 106, 113]
    other = propose(root, tmp_path / "other.yaml", Options(labels=("Bald",)))
    assert "Bald: {classes: [no, yes]}" in other.text


def test_celeba_of_images_before_they_were_aligned(tmp_path: Path, written: Make) -> None:
    names = [f"{row:06d}.jpg" for row in range(1, 41)]
    add_images(tmp_path / "set", (f"img_celeba/{name}" for name in names), (409, 687))
    folder = tmp_path / "set" / "Anno"
    rows = (f"{name} {('-1', '1')[row % 2]}" for row, name in enumerate(names))
    write_lines(folder / "list_attr_celeba.txt", "40", "Male", *rows)
    write_lines(
        folder / "list_bbox_celeba.txt",
        "40",
        "image_id x_1 y_1 width height",
        *(f"{name} 95 71 226 313" for name in names),
    )
    header = "lefteye_x lefteye_y righteye_x righteye_y"  # of the aligned images, which are not here
    write_lines(folder / "list_landmarks_align_celeba.txt", "40", header, *(f"{name} 69 109 106 113" for name in names))
    found = written(tmp_path / "set")
    assert found.config.data.crop.name == "box"
    assert found.samples.boxes[5].tolist() == [95, 71, 321, 384]


def test_celeba_that_is_damaged(tmp_path: Path) -> None:
    add_images(tmp_path / "set", ["000001.jpg", "000002.jpg"])
    attributes = tmp_path / "set" / "list_attr_celeba.txt"
    write_lines(attributes, "2", "Male Young", "000001.jpg 1 1", "000002.jpg 1")
    assert "line 4: must have 3 cells, found 2" in refused(tmp_path / "set")
    write_lines(attributes, "2", "Male Young", "000001.jpg 1 1", "000002.jpg -1 -1")
    write_lines(tmp_path / "set" / "identity_CelebA.txt", "000001.jpg 7")
    assert "says nothing of 000002.jpg" in refused(tmp_path / "set")
