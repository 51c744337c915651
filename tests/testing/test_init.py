"""The suites are there, one for each table, and cost nothing until they are asked for."""

from __future__ import annotations

import doctest
import gc
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest

import multitask.testing
from multitask.evaluation.decode import DecodeRule
from multitask.evaluation.decode.pooling import PoolingRule
from multitask.evaluation.views import ViewSettings
from multitask.settings import Table
from multitask.testing import _HOMES


def test_every_name_is_there() -> None:
    assert all(callable(getattr(multitask.testing, name)) for name in multitask.testing.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'check_nothing'"):
        multitask.testing.check_nothing  # noqa: B018


@pytest.mark.parametrize("module", sorted({*_HOMES.values()}))
def test_examples_run(module: str) -> None:
    assert doctest.testmod(import_module(f"multitask.testing.{module}")).failed == 0


def test_every_table_of_a_config_or_a_study_has_a_suite() -> None:
    import_module("multitask.config"), import_module("multitask.study"), import_module("multitask.inference.engines")
    import_module("multitask.recipe")
    # What is fitted rather than configured, and views, are asked by tests over their own rows.
    others = {DecodeRule, PoolingRule, ViewSettings}
    bases = {table.base for table in gc.get_objects() if type(table) is Table} - others
    rooms = {base: base.__module__.split(".") for base in bases}
    ours = {base for base, (top, *room) in rooms.items() if top == "multitask" and room[:2] != ["inference", "inputs"]}
    suites = [getattr(multitask.testing, name) for name in _HOMES if name.startswith("check_")]
    assert {next(iter(get_type_hints(suite).values())) for suite in suites} == ours


def test_every_suite_is_told_of_where_rows_are_added() -> None:
    text = (Path(__file__).parents[2] / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [name for name in _HOMES if name.startswith("check_") and f"`{name}`" not in text] == []


def test_nothing_heavy_is_imported_before_a_suite_is() -> None:
    code = "import sys, multitask.testing; print([name for name in ('torch', 'albumentations') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
