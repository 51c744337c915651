from __future__ import annotations

from pathlib import Path

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
