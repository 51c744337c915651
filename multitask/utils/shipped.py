"""The files that come with the package, in a checkout and in an installed wheel alike."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def config_file(name: str, kind: str = "configs") -> Path:
    """The shipped file of this name, as ``demo``; ``kind`` is ``configs`` or ``studies``."""
    return _file(f"{kind}/{name}.yaml")


def schema_file() -> Path:
    """The JSON schema of configs, studies, bake-offs and recipes, for editors."""
    return _file("configs/schema.json")


def _file(name: str) -> Path:
    for folder in (_PACKAGE / "_shipped", _PACKAGE.parent):
        if (folder / name).is_file():
            return folder / name
    raise AssertionError(f"the package comes without {name}")
