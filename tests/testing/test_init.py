"""The suites are there, one for each of some tables, and cost nothing until they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import multitask.testing


def test_every_name_is_there() -> None:
    assert all(callable(getattr(multitask.testing, name)) for name in multitask.testing.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'check_nothing'"):
        multitask.testing.check_nothing  # noqa: B018


def test_nothing_heavy_is_imported_before_a_suite_is() -> None:
    code = "import sys, multitask.testing; print([name for name in ('torch', 'albumentations') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
