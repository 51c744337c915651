from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.study.folder import StudyFolder
from tests.processes import Forked


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path / "runs" / "study")


def test_names_of_runs_sort_as_their_numbers(folder: StudyFolder) -> None:
    assert folder.trial(7) == folder.path / "trials" / "0007"
    assert folder.confirming_run(12, 2) == folder.path / "confirm" / "0012-2"


class TestClaim:
    def test_a_new_an_empty_and_a_study_folder_can_be_had(self, folder: StudyFolder) -> None:
        folder.claim()
        folder.path.mkdir(parents=True)
        folder.claim()
        folder.settings.touch()
        (folder.path / "notes.txt").touch()
        folder.claim()

    def test_what_a_launch_leaves_that_was_killed_as_it_began_is_no_hindrance(self, folder: StudyFolder) -> None:
        folder.path.mkdir(parents=True)
        for name in ("study.db", "study.db-journal", ".lock", ".study.yaml.abc.part"):
            (folder.path / name).touch()
        folder.claim()

    @pytest.mark.parametrize("name", ["config.yaml", "thesis.txt", "trials"])
    def test_what_is_somebody_elses_is_refused(self, folder: StudyFolder, name: str) -> None:
        (folder.path / name).mkdir(parents=True)
        with pytest.raises(UserError) as error:
            folder.claim()
        assert str(error.value) == f"{folder.path}: exists and is no study folder; name another --out"

    def test_a_file_is_refused(self, folder: StudyFolder) -> None:
        folder.path.parent.mkdir()
        folder.path.write_text("mine")
        with pytest.raises(UserError, match="is no study folder"):
            folder.claim()


class TestLock:
    def test_a_second_launch_is_refused_until_the_first_one_ended(self, folder: StudyFolder) -> None:
        with folder.locked():
            folder.settings.touch()
            with pytest.raises(UserError, match="another launch is at work"), StudyFolder(folder.path).locked():
                pytest.fail("two at once")
            assert folder.settings.exists()
        with folder.locked():
            pass

    def test_a_launch_that_is_killed_lets_go(self, folder: StudyFolder) -> None:
        code = (
            "import sys, time; from pathlib import Path; from multitask.study.folder import StudyFolder\n"
            f"with StudyFolder(Path({str(folder.path)!r})).locked():\n"
            "    print('locked', flush=True); time.sleep(600)"
        )
        with Forked([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == b"locked\n"
                with pytest.raises(UserError, match="another launch is at work"), folder.locked():
                    pytest.fail("two at once")
            finally:
                process.send_signal(signal.SIGKILL)
        with folder.locked():
            pass

    def test_no_worker_keeps_it(self, folder: StudyFolder) -> None:
        with folder.locked(), subprocess.Popen(["sleep", "600"], close_fds=False) as child:
            folder.settings.touch()
            try:
                open_files = {os.path.realpath(path) for path in Path(f"/proc/{child.pid}/fd").iterdir()}
            finally:
                child.kill()
        assert not [path for path in open_files if path.endswith(".lock")]

    def test_without_a_study_nothing_is_left(self, folder: StudyFolder) -> None:
        with folder.locked():
            folder.database.touch()
        assert not folder.path.exists()

    def test_with_one_everything_is(self, folder: StudyFolder) -> None:
        with folder.locked():
            folder.database.touch()
            folder.settings.touch()
        assert folder.database.exists()

    def test_what_is_somebody_elses_stays(self, folder: StudyFolder) -> None:
        folder.path.mkdir(parents=True)
        (folder.path / "thesis.txt").touch()
        with folder.locked():
            pass
        assert [path.name for path in folder.path.iterdir()] == ["thesis.txt"]
