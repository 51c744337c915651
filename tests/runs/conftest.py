"""What tests of several ideas of a run start from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from multitask.runs.run import RunResult, run
from tests.runs.same_run import MakeConfig

import timm  # isort: skip  (after multitask, which makes it importable)


@pytest.fixture(scope="session")
def plain(tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A run of two epochs; not to be written to."""
    path = tmp_path_factory.mktemp("plain") / "run"
    return path, run(tiny(), path)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "test_resnet.pth"
    torch.manual_seed(3)
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    return str(path)
