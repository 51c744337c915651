"""The files that come with the package, in a checkout and in an installed wheel alike."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def config_file(name: str) -> Path:
    """The shipped config of this name, as ``demo``."""
    for folder in (_PACKAGE / "_configs", _PACKAGE.parent / "configs"):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise AssertionError(f"the package comes without configs/{name}.yaml")
