from __future__ import annotations

from pathlib import Path

from multitask.init import Options, propose
from tests.init.layouts.known import Make, layout_of, refused
from tests.init.made import add_images, write_lines

STYLES = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"


def test_fashion(tmp_path: Path, written: Make) -> None:
    add_images(tmp_path / "set", (f"images/{row}.jpg" for row in range(100, 160)), (60, 80))
    rows = [
        f"{row},{('Men', 'Women')[row % 2]},{('Apparel', 'Footwear')[row // 2 % 2]},x,y,NA,"
        f"{('Summer', 'Fall', '')[row % 3]},2012,Casual,A shirt, with a comma {row}"
        for row in range(100, 161)
    ]
    write_lines(tmp_path / "set" / "styles.csv", STYLES, *rows)
    assert layout_of(tmp_path / "set") == "fashion"
    found = written(tmp_path / "set")
    assert len(found.samples) == 60  # 160 has no image
    assert found.labels("images/103.jpg") == {"gender": "Women", "masterCategory": "Footwear", "season": "Fall"}
    assert found.labels("images/101.jpg")["season"] is None
    others = "subCategory, articleType, baseColour, year, usage"
    assert f"labels are gender, masterCategory, season; --labels takes others: {others}" in found.proposal.assumed
    named = propose(tmp_path / "set", tmp_path / "named.yaml", Options(labels=("gender", "season")))
    assert not any("labels are" in line for line in named.assumed)
    write_lines(tmp_path / "set" / "styles.csv", STYLES, "100,Men")
    assert "line 2: must have 10 cells, found 2" in refused(tmp_path / "set")
