"""Balancers that a config cannot have: one line, exit code 2, before anything is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["balancer=pcgrd"], ("balancer.name", "'pcgrd'", "'pcgrad'")),
        (["balancer={name: famo, alpha: 1}"], ("balancer.alpha", "famo")),
        (["balancer={name: gradnorm, lr: 0}"], ("balancer.lr", "greater than 0")),
        (["balancer=equal", "heads.age.weight=0.5"], ("heads.age.weight: 0.5 would be ignored", "equal", "fixed")),
        (["balancer=famo", "joint={weight: 0.5}"], ("joint.weight: 0.5 would be ignored", "famo")),
        (["balancer=pcgrad", "model.sharing=flat", "heads={}"], ("balancer: pcgrad needs several losses", "'class'")),
        (["balancer=famo", "model.sharing=flat", "heads={}"], ("balancer: famo needs several losses",)),
        (
            ["balancer=upgrad", "model.backbone={name: test_resnet, freeze: all, weights: hub}"],
            ("balancer: upgrad needs features", "model.backbone.freeze is all"),
        ),
    ],
)
def test_is_refused(
    call: Call, config_file: Callable[..., Path], tmp_path: Path, settings: list[str], parts: tuple[str, ...]
) -> None:
    words = [word for setting in settings for word in ("--set", setting)]
    line = call("train", config_file(), *words, "--out", tmp_path / "run").refusal()
    for part in parts:
        assert part in line, line
    assert not (tmp_path / "run").exists()


def test_extra_that_is_not_installed_is_told_before_anything_is_done(
    call: Call, config_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multitask.balancers.settings.find_spec", lambda package: None)
    line = call("train", config_file(), "--set", "balancer=pcgrad", "--out", tmp_path / "run").refusal()
    assert 'balancer: pcgrad needs torchjd, which is not installed; pip install "multitask[torchjd]"' in line
    assert not (tmp_path / "run").exists()


def test_every_stage_frozen_by_number_is_told_before_training(
    call: Call, config_file: Callable[..., Path], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    from multitask.model.vision_ops import timm

    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), weights)
    backbone = f"model.backbone={{name: test_resnet, weights: '{weights}', freeze: 5}}"
    words = ("--set", backbone, "--set", "balancer=gradnorm", "--out", tmp_path / "run")
    line = call("train", config_file(), *words).refusal()
    assert "balancer: gradnorm needs features" in line
    assert "model.backbone.freeze is 5, all stages of test_resnet" in line
    assert not (tmp_path / "run" / "config.yaml").exists()
