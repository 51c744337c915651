"""A config to be changed."""

from __future__ import annotations

from typing import Any

from multitask.config import Config
from multitask.settings import override, problems, validate

BASE: dict[str, Any] = {
    "labels": {
        "tasks": {
            "mask": {"classes": ["wear", "incorrect", "not_worn"]},
            "gender": {"classes": ["male", "female"]},
            "age": {"kind": "binned", "edges": [30, 60]},
        }
    },
    "data": {"root": "/data"},
    "model": {"backbone": {"name": "test_resnet", "weights": "none"}},
}


def found(changes: dict[str, Any]) -> list[str]:
    return problems(Config, override(Config, BASE, changes))


def resolved(changes: dict[str, Any]) -> Config:
    return validate(Config, override(Config, BASE, changes))
