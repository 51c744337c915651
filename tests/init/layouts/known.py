"""The layouts that are known by name, each made at a tiny size: recognised, and read by the config that is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.errors import UserError
from multitask.init import LAYOUTS, Options, propose
from tests.init.conftest import Written

Make = Callable[..., Written]


def layout_of(path: Path) -> str:
    return next(name for name, layout in LAYOUTS.items() if layout(path).fits())


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        propose(path, path.parent / "config.yaml", Options(**options))
    assert "\n" not in str(caught.value)
    assert not (path.parent / "config.yaml").exists()
    return str(caught.value)
