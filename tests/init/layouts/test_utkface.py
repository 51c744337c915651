from __future__ import annotations

from pathlib import Path

import pytest

from tests.init.layouts.known import Make, layout_of
from tests.init.made import add_images


def test_ages_of_a_few_faces_are_numbers_still(tmp_path: Path, written: Make) -> None:
    names = [f"{(8, 26, 61)[row % 3]}_{row % 2}_{row % 5}_201701{row:011d}.jpg.chip.jpg" for row in range(60)]
    add_images(tmp_path / "set", names)
    (tmp_path / "set" / "IMG_1.HEIC").write_bytes(b"")
    found = written(tmp_path / "set")
    assert next(iter(found.config.labels.tasks.values())).kind == "binned"
    assert any("1 file may be an image and is not used (.heic)" in note for note in found.proposal.check)


@pytest.mark.parametrize("part", ["", "part1/"])
def test_utkface(tmp_path: Path, written: Make, part: str) -> None:
    names = [f"{part}{1 + row}_{row % 2}_{row % 5}_201701{row:011d}.jpg.chip.jpg" for row in range(90)]
    broken = [f"{part}61_1_20170109142408075.jpg.chip.jpg", f"{part}53__0_20170116184028385.jpg.chip.jpg"]
    add_images(tmp_path / "set", [*names, *broken])
    assert layout_of(tmp_path / "set") == "utkface"
    found = written(tmp_path / "set")
    assert found.proposal.table is None
    assert len(found.samples) == 90
    assert found.classes()["gender"] == ("male", "female")
    assert found.labels(names[33]) == {"age": "30-60", "gender": "female", "race": "indian"}
    assert f"2 files lack an age, gender or race and are skipped, as {min(broken)}" in found.proposal.check
