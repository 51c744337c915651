"""Lets timm be imported where torch is a CPU build and torchvision is not.

The package index's torchvision for Linux is built for CUDA. Beside a CPU-only torch its compiled operators do not load,
and its import dies on registering what it knows of two of them. Nothing here uses those two: declaring them is enough.
Where the compiled operators load, nothing is declared. Import timm from here, and this module before torchvision.
"""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

import torch

_declared: torch.library.Library | None = None  # an operator is gone when its library is collected


def _compiled_operators_load() -> bool:
    package = find_spec("torchvision")
    if package is None or package.submodule_search_locations is None:
        return True  # its absence is the importer's to report
    for location in package.submodule_search_locations:
        # _C.so, and since torchvision 0.29 _C_stable.so. To declare what is loaded afterwards aborts the process, so
        # they are told apart by no name.
        for path in sorted(Path(location).glob("_C*")):
            if path.name.endswith(tuple(EXTENSION_SUFFIXES)) and _loads(path):
                return True
    return False


def _loads(extension: Path) -> bool:
    try:
        torch.ops.load_library(extension)
    except (OSError, RuntimeError):
        return False
    return True


if "torchvision" not in sys.modules and not _compiled_operators_load():
    _declared = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _declared.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm.optim  # noqa: E402

__all__ = ["timm"]
