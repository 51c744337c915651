from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from multitask.model import vision_ops


@pytest.fixture
def decide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., bool]:
    """Whether the compiled operators load, of a torchvision that holds these files, of which some load."""

    def compiled_operators_load(files: tuple[str, ...], loading: tuple[str, ...]) -> bool:
        def load_library(path: str | Path) -> None:
            if Path(path).name not in loading:
                raise OSError(f"{path}: undefined symbol")

        for name in files:
            (tmp_path / name).touch()
        package = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
        monkeypatch.setattr(vision_ops, "find_spec", lambda name: package)
        monkeypatch.setattr(torch.ops, "load_library", load_library)
        return vision_ops._compiled_operators_load()

    return compiled_operators_load


OLD, NEW = f"_C{EXTENSION_SUFFIXES[-1]}", f"_C_stable{EXTENSION_SUFFIXES[-1]}"


@pytest.mark.parametrize("name", [OLD, NEW, f"_C{EXTENSION_SUFFIXES[0]}"])
def test_nothing_is_declared_where_the_compiled_operators_load(decide: Callable[..., bool], name: str) -> None:
    assert decide((name, "image.so"), (name, "image.so"))


@pytest.mark.parametrize("files", [(), (OLD,), (NEW,), ("_C.txt", "image.so")])
def test_they_are_declared_where_none_loads(decide: Callable[..., bool], files: tuple[str, ...]) -> None:
    assert not decide(files, ("_C.txt", "image.so"))


def test_its_absence_is_the_importers_to_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision_ops, "find_spec", lambda name: None)
    assert vision_ops._compiled_operators_load()


@pytest.mark.parametrize("first", ["timm", "torchvision"])
def test_fresh_process_can_import_it_and_then_timm(first: str) -> None:
    code = f"import multitask.model.vision_ops, {first}, timm, torch; torch.ops.torchvision.nms; timm.list_models()"
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
