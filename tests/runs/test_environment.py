from __future__ import annotations

import json

from multitask.runs.environment import PACKAGES, environment, fingerprint


def test_environment_says_versions_command_and_machine() -> None:
    found = environment()
    assert set(PACKAGES) <= set(found["versions"])
    assert found["versions"]["torch"][0].isdigit()
    assert found["machine"]["num_cores"] >= 1
    assert found["created"].endswith("+00:00")
    json.dumps(found, allow_nan=False)


def test_fingerprint_depends_on_rows_content_and_order() -> None:
    rows = [("one", b"a"), ("two", b"b")]
    first = fingerprint(rows)
    assert first == fingerprint(rows)
    assert first != fingerprint(rows[::-1])
    assert first != fingerprint([("one", b"a"), ("too", b"b")])
    assert first != fingerprint([("one", b"a"), ("two", b"c")])
