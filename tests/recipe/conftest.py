"""What tests of recipes need: a file beside its base, on the drawn set, of runs of a second."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.settings.yaml_text import dump_yaml

QUICK = {"training.epochs": 2, "training.schedule.warmup_epochs": 0}


@pytest.fixture(scope="session")
def write_recipe(tiny: Callable[..., Config]) -> Callable[..., Path]:
    """Writes a recipe file beside its base: ``write_recipe(folder, {"training.epochs": 3}, stages=["baseline"])``."""

    def make(folder: Path, changes: dict[str, Any] | None = None, /, **settings: Any) -> Path:
        base = tiny({**QUICK, **(changes or {})}).model_dump(mode="json")
        (folder / "base.yaml").write_text(dump_yaml(base))
        path = folder / "recipe.yaml"
        content = {"name": "tiny", "base": "base.yaml", "budget": "1h", "judges": {"folds": 2}, "stages": ["baseline"]}
        path.write_text(dump_yaml({**content, **settings}))
        return path

    return make


@pytest.fixture
def recipe_file(write_recipe: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """The same in the test's own folder: ``recipe_file({"training.epochs": 3}, stages=["baseline"])``."""
    return functools.partial(write_recipe, tmp_path)
