from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import multitask
from multitask.runs.environment import PACKAGES, environment
from multitask.runs.records import Environment
from multitask.utils.records import parse_record, record_to_json


def test_environment_says_versions_command_and_machine() -> None:
    found = environment()
    assert set(PACKAGES) <= set(found.versions)
    assert found.versions["torch"][0].isdigit()
    assert found.machine.num_cores >= 1
    assert found.created.endswith("+00:00")
    assert parse_record(record_to_json(found), Environment, Path("environment.json")) == found


def test_a_change_anywhere_in_the_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)
    monkeypatch.setattr(multitask, "__file__", str(package / "__init__.py"))
    before = environment().commit
    (tmp_path / "notes.txt").write_text("beside it")
    assert environment().commit == before
    (package / "labels.py").write_text("")
    after = environment().commit
    assert before is not None
    assert after is not None
    assert (before.changed, after.changed) == (False, True)
    assert before.hash == after.hash
