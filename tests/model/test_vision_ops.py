from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from multitask.model import vision_ops


def decide(monkeypatch: pytest.MonkeyPatch, package: Any, extension: Any, loads: bool) -> bool:
    def load_library(path: str) -> None:
        if not loads:
            raise OSError(f"{path}: undefined symbol")

    monkeypatch.setattr(vision_ops, "find_spec", lambda name: package)
    monkeypatch.setattr(vision_ops.PathFinder, "find_spec", lambda name, path: extension)
    monkeypatch.setattr(torch.ops, "load_library", load_library)
    return vision_ops._compiled_operators_load()


PACKAGE = SimpleNamespace(submodule_search_locations=["/somewhere/torchvision"])
EXTENSION = SimpleNamespace(origin="/somewhere/torchvision/_C.so")


@pytest.mark.parametrize(
    ("package", "extension", "loads", "expected"),
    [
        (None, None, True, True),  # no torchvision: its absence is the importer's to report
        (PACKAGE, EXTENSION, True, True),  # the real operators are there, so nothing is declared
        (PACKAGE, EXTENSION, False, False),
        (PACKAGE, None, True, False),
    ],
)
def test_operators_are_declared_only_where_the_compiled_ones_do_not_load(
    monkeypatch: pytest.MonkeyPatch, package: Any, extension: Any, loads: bool, expected: bool
) -> None:
    assert decide(monkeypatch, package, extension, loads) == expected


@pytest.mark.parametrize("first", ["timm", "torchvision"])
def test_fresh_process_can_import_it_and_then_timm(first: str) -> None:
    code = f"import multitask.model.vision_ops, {first}, timm, torch; torch.ops.torchvision.nms; timm.list_models()"
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
