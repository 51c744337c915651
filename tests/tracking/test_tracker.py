from __future__ import annotations

from pathlib import Path

import pytest

from multitask.tracking.tracker import TrackedRun


def test_a_run_is_named_as_its_folder_is_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert TrackedRun(Path("runs/study/trials/0007"), {}).name == "runs/study/trials/0007"
    monkeypatch.chdir("/")
    assert TrackedRun(Path("/a/b/runs/study/trials/0007"), {}).name == "runs/study/trials/0007"
