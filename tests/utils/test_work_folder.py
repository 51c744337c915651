from __future__ import annotations

from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.utils.work_folder import WorkFolder


class Kiln(WorkFolder):
    file = "kiln.yaml"
    kind = "kiln's folder"
    busy = "kiln; light another"
    scratch = ("ash", "ash.txt")
    parts = "**/.*.part"


@pytest.fixture
def folder(tmp_path: Path) -> Kiln:
    return Kiln(tmp_path / "deep" / "kiln")


def test_what_never_began_leaves_nothing(folder: Kiln) -> None:
    with folder.locked():
        (folder.path / "ash").mkdir()
        (folder.path / "ash" / "deep.txt").touch()
        (folder.path / "ash.txt").touch()
        folder.claim()
    assert not folder.path.exists()


def test_what_began_stays_but_for_what_killed_writers_left(folder: Kiln) -> None:
    (folder.path / "ash").mkdir(parents=True)
    (folder.path / "ash" / ".a.part").touch()
    folder.settings.touch()
    with folder.locked():
        assert not (folder.path / "ash" / ".a.part").exists()
    assert folder.exists()
    assert (folder.path / "ash").is_dir()


def test_one_launch_at_a_time(folder: Kiln) -> None:
    line = rf"^{folder.path}: another launch is at work on this kiln; light another$"
    with folder.locked(), pytest.raises(UserError, match=line), Kiln(folder.path).locked():
        pass


def test_somebody_elses_files_are_refused_and_stay(folder: Kiln) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / "thesis.txt").touch()
    with pytest.raises(UserError, match=r": exists and is no kiln's folder; name another --out$"):
        folder.claim()
    with folder.locked():
        pass
    assert [path.name for path in folder.path.iterdir()] == ["thesis.txt"]
