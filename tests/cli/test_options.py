from __future__ import annotations

import importlib

import pytest

from multitask.cli import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_where_a_command_writes_is_said_alike_in_all(name: str) -> None:
    known = {word for option in importlib.import_module(f"multitask.cli.{name}").command.params for word in option.opts}
    ways = {"-o", "--out", "--output"}
    assert known & ways in (set(), ways)
