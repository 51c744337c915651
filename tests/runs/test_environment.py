from __future__ import annotations

import json

from multitask.runs.environment import PACKAGES, environment


def test_environment_says_versions_command_and_machine() -> None:
    found = environment()
    assert set(PACKAGES) <= set(found["versions"])
    assert found["versions"]["torch"][0].isdigit()
    assert found["machine"]["num_cores"] >= 1
    assert found["created"].endswith("+00:00")
    json.dumps(found, allow_nan=False)
