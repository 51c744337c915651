"""The files that come with the package, in a checkout and in an installed wheel alike."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def config_file(name: str, kind: str = "configs") -> Path:
    """The shipped file of this name, as ``demo``; ``kind`` is ``configs`` or ``studies``."""
    for folder in (_PACKAGE / "_shipped" / kind, _PACKAGE.parent / kind):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise AssertionError(f"the package comes without {kind}/{name}.yaml")
