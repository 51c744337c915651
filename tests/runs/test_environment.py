from __future__ import annotations

import json
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.runs.environment import PACKAGES, environment, fingerprint


def test_environment_says_versions_command_and_machine() -> None:
    found = environment()
    assert set(PACKAGES) <= set(found["versions"])
    assert found["versions"]["torch"][0].isdigit()
    assert found["machine"]["num_cores"] >= 1
    assert found["created"].endswith("+00:00")
    json.dumps(found, allow_nan=False)


def test_fingerprint_depends_on_rows_content_and_order(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(f"picture {name}")
    rows = [("one", tmp_path / "a"), ("two", tmp_path / "b")]
    first = fingerprint(rows)
    assert first == fingerprint(rows)
    assert first != fingerprint(rows[::-1])
    assert first != fingerprint([("one", tmp_path / "a"), ("too", tmp_path / "b")])
    (tmp_path / "b").write_text("picture B")
    assert first != fingerprint(rows)
    with pytest.raises(UserError, match=r"absent: cannot be read: No such file"):
        fingerprint([("x", tmp_path / "absent")])
