"""A run of seconds, to try on it what reads runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multitask.config import Config
from multitask.data.synthetic import draw_set
from multitask.runs.run import run
from multitask.settings import override, validate

TINY: Mapping[str, Any] = {
    "labels": {
        "tasks": {
            "mask": {"classes": ["wear", "incorrect", "not_worn"]},
            "gender": {"classes": ["male", "female"]},
            "age": {"kind": "binned", "edges": [30, 60]},
        }
    },
    "data": {"source": {"name": "synthetic"}, "val_fraction": 0.3, "image_size": [32, 24]},
    "augment": {"strength": 0.3},
    "model": {"backbone": {"name": "test_resnet", "weights": "none"}},
    "training": {"epochs": 2, "batch_size": 16},
}
"""The config of a run of about a second on a drawn set, but for the set's root."""


def tiny_run(folder: str | Path, changes: Mapping[str, Any] | None = None) -> Path:
    """A run of one epoch on twelve drawn groups, whose network is as good as untrained.

    Args:
        folder: that is made if it is not there; the set goes to ``folder/set`` where it is not there yet, the run to
            ``folder/run``.
        changes: of the config, as ``{"training.epochs": 2}``.

    Returns:
        The run's folder.
    """
    folder = Path(folder)
    if not (folder / "set").exists():
        draw_set(folder / "set", people=12, seed=1)
    changes = {"data.root": str(folder / "set"), "training.epochs": 1, **(changes or {})}
    run(validate(Config, override(Config, dict(TINY), changes)), folder / "run")
    return folder / "run"
