"""What tests of recipes need: a file beside its base, on the drawn set, of runs of a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.settings.yaml_text import dump_yaml

QUICK = {"training.epochs": 2, "training.schedule.warmup_epochs": 0}


@pytest.fixture
def recipe_file(tiny: Callable[..., Config], tmp_path: Path) -> Callable[..., Path]:
    """Writes a recipe file beside its base: ``recipe_file({"training.epochs": 3}, stages=["baseline"])``."""

    def make(changes: dict[str, Any] | None = None, /, **settings: Any) -> Path:
        base = tiny({**QUICK, **(changes or {})}).model_dump(mode="json")
        (tmp_path / "base.yaml").write_text(dump_yaml(base))
        path = tmp_path / "recipe.yaml"
        content = {"name": "tiny", "base": "base.yaml", "budget": "1h", "judges": {"folds": 2}, "stages": ["baseline"]}
        path.write_text(dump_yaml({**content, **settings}))
        return path

    return make
