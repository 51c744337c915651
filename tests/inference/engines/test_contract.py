"""What holds of every engine; the parity table of networks and precisions is ``tests/inference/test_parity.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.inference.engines import ENGINES
from multitask.inference.engines.exported import ExportedSettings
from multitask.inference.engines.pytorch import TorchSettings
from multitask.testing import check_engine

EXPORTED = [name for name, row in ENGINES.items() if issubclass(row, ExportedSettings)]


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_keeps_the_contract(name: str, trained_path: Path, exported_path: Path) -> None:
    path = exported_path if name in EXPORTED else trained_path
    check_engine(ENGINES[name](), path, TorchSettings().open(trained_path, None, False))


@pytest.mark.parametrize("name", EXPORTED)
def test_an_engine_that_is_not_installed_names_its_extra(
    name: str, exported_path: Path, missing_module: Callable[..., None]
) -> None:
    settings = ENGINES[name]()
    missing_module(settings.modules[0])
    with pytest.raises(UserError, match=rf"engine {name}: .* `pip install 'multitask\[{settings.extra}\]'"):
        settings.open(exported_path, None, False)


@pytest.mark.parametrize("name", EXPORTED)
def test_an_engine_of_files_computes_on_the_cpu(name: str, exported_path: Path) -> None:
    with pytest.raises(UserError, match=f"device: engine {name} computes on the CPU, found cuda"):
        ENGINES[name]().open(exported_path, "cuda", False)


@pytest.mark.parametrize("name", EXPORTED)
def test_a_file_of_another_precision_is_refused(name: str, exported_path: Path) -> None:
    settings = ENGINES[name].model_validate({"precision": "int8"})
    with pytest.raises(UserError, match="holds fp32, not int8; export the run with --precision int8"):
        settings.open(exported_path, None, False)


@pytest.mark.parametrize("name", EXPORTED)
def test_threads_are_those_that_are_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ENGINES[name]
    assert issubclass(row, ExportedSettings)
    assert row.model_validate({"num_threads": 3}).threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert row().threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert row().threads() >= 1
