"""Mask templates: their key points from the outline, a CSV or MaskTheFace's file, and what is no template."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.data.synthetic.portraits.templates import MAX_SIDE_PX, read_templates
from multitask.errors import UserError
from tests.data.synthetic.portraits.conftest import paint_template

POINTS = [(20, 20), (70, 5), (120, 20), (24, 70), (70, 95), (116, 70)]


def test_the_outline_gives_key_points_without_straps(masks: Path) -> None:
    blue, green = read_templates(masks)
    assert (blue.name, green.name) == ("blue.png", "green.png")
    assert np.abs(blue.points - POINTS).max() < 5


def test_a_csv_beside_it_comes_first(masks: Path) -> None:
    (masks / "blue.csv").write_text("x,y\n" + "".join(f"{x + 1},{y}\n" for x, y in POINTS))
    blue, _ = read_templates(masks)
    assert blue.points.tolist() == [[x + 1, y] for x, y in POINTS]


@pytest.mark.parametrize("given", ["the folder of templates", "the one above"])
def test_mask_the_face_in_its_own_layout(tmp_path: Path, given: str) -> None:
    folder = tmp_path / "masks" / "templates"
    folder.mkdir(parents=True)
    for name in ("cloth", "cloth_left", "other"):
        paint_template(folder / f"{name}.png", (0, 0, 255))
    points = "".join(f"mask_{key}:     {x}, {y}\n" for key, (x, y) in zip("abcdef", POINTS, strict=True))
    sections = (f"[{name}]\ntemplate:   masks/templates/{name}.png\n{points}" for name in ("cloth", "cloth_left"))
    (tmp_path / "masks" / "masks.cfg").write_text("\n".join([*sections, ";[old]", "[empty]"]))
    (cloth,) = read_templates(folder if given == "the folder of templates" else folder.parent)
    assert cloth.name == "cloth.png"  # neither the view from a side nor what has no key points
    assert cloth.points.tolist() == [list(point) for point in POINTS]


def test_a_large_one_is_reduced_with_its_points(tmp_path: Path) -> None:
    paint_template(tmp_path / "a.png", (0, 0, 255))
    with Image.open(tmp_path / "a.png") as image:
        image.resize((2800, 2000), Image.Resampling.NEAREST).save(tmp_path / "a.png")
    (template,) = read_templates(tmp_path)
    assert max(template.pixels.shape) == MAX_SIDE_PX
    assert np.abs(template.points / (MAX_SIDE_PX / 140) - POINTS).max() < 5


class TestRefusals:
    def test_no_folder_and_an_empty_one(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"^--masks: \S+no: no such folder$"):
            read_templates(tmp_path / "no")
        with pytest.raises(UserError, match=r"holds no template, a PNG with a transparent ground$"):
            read_templates(tmp_path)

    @pytest.mark.parametrize(
        ("mode", "colour", "message"),
        [("RGB", (9, 9, 9), "has no transparent ground"), ("RGBA", (9, 9, 9, 255), "has no transparent ground"),
         ("RGBA", (9, 9, 9, 0), "is all transparent")],
    )  # fmt: skip
    def test_alpha(self, tmp_path: Path, mode: str, colour: tuple[int, ...], message: str) -> None:
        Image.new(mode, (40, 30), colour).save(tmp_path / "a.png")
        with pytest.raises(UserError, match=rf"a\.png: {message}"):
            read_templates(tmp_path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("x,y\n1,2\n", r"must have six key points .* found 1$"),
            ("x,y\n" + "a,2\n" * 6, "line 2: must be two numbers, found 'a', '2'"),
            ("x,y\n" + "900,2\n" * 6, "its key points are no part of its 140 x 100 pixels"),
            ("u,v\n", "has no column 'x'"),
        ],
    )
    def test_key_points(self, masks: Path, text: str, message: str) -> None:
        (masks / "blue.csv").write_text(text)
        with pytest.raises(UserError, match=message):
            read_templates(masks)

    @pytest.mark.parametrize(
        ("text", "message"),
        [("[a]\ntemplate: blue.png\n", "a template has no mask_a"), ("mask_a: 1, 2", "cannot be read as key points"),
         ("[a]\ntemplate: no.png\n" + "".join(f"mask_{k}: 1, 2\n" for k in "abcdef"), "that its masks.cfg names")],
    )  # fmt: skip
    def test_masks_cfg(self, masks: Path, text: str, message: str) -> None:
        (masks / "masks.cfg").write_text(text)
        with pytest.raises(UserError, match=message):
            read_templates(masks)

    def test_a_file_that_is_no_image(self, masks: Path) -> None:
        (masks / "blue.png").write_text("no")
        with pytest.raises(UserError, match=r"blue\.png: cannot be read as an image"):
            read_templates(masks)
