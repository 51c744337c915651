"""What tests of bake-offs need: a file beside its base, on the drawn set, of runs of a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.settings.yaml_text import dump_yaml

QUICK = {"training.epochs": 1, "training.schedule.warmup_epochs": 0}
TWO: dict[str, Any] = {"flat": {"overrides": {"model.sharing.name": "flat"}}, "shared": None}


def write_bakeoff(folder: Path, base: Config, /, **settings: Any) -> Path:
    """A bake-off file and its base, which leaves the heads at their defaults, since contenders have other heads."""
    data = base.model_dump(mode="json", exclude={"heads"})
    (folder / "base.yaml").write_text(dump_yaml(data))
    path = folder / "bakeoff.yaml"
    path.write_text(dump_yaml({"name": "tiny", "base": "base.yaml", "contenders": TWO, "seeds": 2, **settings}))
    return path


@pytest.fixture
def bakeoff_file(tiny: Callable[..., Config], tmp_path: Path) -> Callable[..., Path]:
    """Writes a bake-off file beside its base: ``bakeoff_file({"training.epochs": 3}, folds=2)``."""

    def make(changes: dict[str, Any] | None = None, /, **settings: Any) -> Path:
        return write_bakeoff(tmp_path, tiny({**QUICK, **(changes or {})}), **settings)

    return make
