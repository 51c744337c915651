from __future__ import annotations

from pathlib import Path

import pytest

from multitask.data.synthetic.layout import complete_or_absent


def test_an_error_names_the_folder_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as made, complete_or_absent(tmp_path / "file" / "set"):
        pass
    assert made.value.filename == str(tmp_path / "file" / "set")
    with pytest.raises(OSError) as filled, complete_or_absent(tmp_path / "set") as folder:
        (folder / "gone" / "a.txt").touch()
    assert filled.value.filename == str(tmp_path / "set" / "gone" / "a.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
