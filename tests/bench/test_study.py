"""The measurements of what kept features save, on a tiny network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from multitask.bench.study import _FROZEN, _computing
from multitask.model import frozen_features
from tests.runs.same_run import MakeConfig

import timm  # isort: skip  (after multitask, which makes it importable)


def test_features_are_computed_anew_in_every_round(
    tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), tmp_path / "weights.pth")
    made: list[Path] = []
    keep = frozen_features.kept_together

    def counted(path: Path, *args: object) -> object:
        made.append(path)
        assert not path.exists()
        return keep(path, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(frozen_features, "kept_together", counted)
    config = tiny({"model.backbone.weights": str(tmp_path / "weights.pth"), **_FROZEN})
    found = _computing(config, tmp_path / "kept")
    assert len(made) == 4  # once to warm up, and three rounds
    assert found.ratio > 0
