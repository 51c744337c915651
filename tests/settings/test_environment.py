"""Environment variables in YAML files; what a config makes of them is in ``tests/config/test_reading.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.settings import Located, expand


def test_variables_are_found_at_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MT_ONE", "a")
    data = {"x": ["${MT_ONE}/b", {"y": "${MT_ONE}"}], "z": 1}
    assert expand(data) == {"x": ["a/b", {"y": "a"}], "z": 1}


def test_what_others_expand_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MT_ONE", "a")
    data = {"base": "${MT_ONE}", "of": [{"overrides": {"x": "${MT_ONE}"}}]}
    assert expand(data, leave={"overrides"}) == {"base": "a", "of": [{"overrides": {"x": "${MT_ONE}"}}]}


def test_a_path_is_where_it_was_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MT_ONE", "a")
    given = Located("${MT_ONE}", tmp_path)
    assert expand(given).folder == Path.cwd()
    assert expand(Located("${MT_TWO:-b}", tmp_path)).folder == tmp_path


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MT_ONE", "")
    with pytest.raises(UserError, match=r"^x\.y: the environment variable MT_ONE is not set; set it$"):
        expand({"x": {"y": "${MT_ONE}"}})
