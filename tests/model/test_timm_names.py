from __future__ import annotations

import sys
from typing import NoReturn

import pytest

from multitask.model import timm_names
from multitask.model.vision_ops import timm


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking timm itself fails."""

    def asked(*args: object) -> NoReturn:
        raise AssertionError("timm was asked")

    for name in ("is_model", "get_pretrained_cfg"):
        monkeypatch.setattr(timm, name, asked)
    monkeypatch.setattr(timm.optim, "list_optimizers", asked)


def test_names_of_the_sources_are_those_of_timm() -> None:
    assert set(timm_names.model_names()) == set(timm.list_models())
    assert set(timm_names.optimizer_names()) == set(timm.optim.list_optimizers())


def test_every_name_of_timm_is_known_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(timm_names.is_model(name) for name in timm.list_models())
    tags = timm.list_models(include_tags=True)
    assert all(timm_names.has_weights(name) for name in [*tags, *timm.list_pretrained()])
    assert not timm_names.is_model("resnet51")
    assert not timm_names.has_weights("resnet50.a99_in1k")
    assert not timm_names.is_optimizer("adamwow")
    forbid(monkeypatch)
    for name in ("mobilenetv2_100", "resnet10t", "vit_tiny_patch16_224", "convnext_tiny", "eva02_tiny_patch14_224"):
        assert timm_names.is_model(name)
    for name in ("resnet50", "resnet50.a1_in1k", "vit_small_patch14_dinov2.lvd142m", "mobilenetv2_100.ra_in1k"):
        assert timm_names.has_weights(name)


def test_tags_in_the_sources_are_tags_of_timm() -> None:
    known = {name for name in timm.list_models(include_tags=True) if "." in name}
    found = {tag for model in timm.list_models() for tag in timm_names.pretrained_names(model)}
    assert found <= known
    assert len(found) > 0.95 * len(known)  # the others are made when timm is imported, and it is asked for them


def test_name_that_timm_makes_at_import_is_asked_of_timm() -> None:
    assert "vit_base_patch32_clip_quickgelu_224.openai" not in timm_names.pretrained_names(
        "vit_base_patch32_clip_quickgelu_224"
    )
    assert timm_names.has_weights("vit_base_patch32_clip_quickgelu_224.openai")
    deprecated = next(iter(timm.models.get_deprecated_models()))
    assert timm_names.is_model(deprecated)
    assert "timm" in sys.modules
