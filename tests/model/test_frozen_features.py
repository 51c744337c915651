"""Features that are computed once: those of the backbone to the bit, and no others' that were kept before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multitask.data.images import Preprocessing
from multitask.data.loading import Batch
from multitask.errors import UserError
from multitask.model.backbone import Backbone
from multitask.model.frozen_features import Features, compute_features, features_key
from multitask.model.settings import BackboneSettings

import timm  # isort: skip  (after multitask, which makes it importable)

SIZE = (32, 24)
PREPROCESSING = Preprocessing(SIZE)
SETTINGS = BackboneSettings(name="test_resnet", weights="none")


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    path = tmp_path / "weights.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    return Backbone(BackboneSettings(name="test_resnet", weights=str(path), freeze="all"), SIZE)


@pytest.fixture
def batches() -> list[Batch]:
    images = torch.randint(0, 256, (10, *SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    sizes = (4, 3, 3)
    parts = images.split(sizes), torch.zeros(10, 1, dtype=torch.int64).split(sizes), torch.ones(10).split(sizes)
    return [Batch(*part, torch.zeros(len(part[0]), 1)) for part in zip(*parts, strict=True)]


def autocast(dtype: torch.dtype) -> torch.autocast:
    return torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32)


def broken() -> list[Batch]:
    raise AssertionError("they were computed again")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_features_are_the_backbones_to_the_bit_and_computed_once(
    backbone: Backbone, batches: list[Batch], dtype: torch.dtype, tmp_path: Path
) -> None:
    seen: list[int] = []

    def ask(give: Any) -> Features:
        return compute_features(backbone, give, 10, PREPROCESSING, autocast(dtype), tmp_path / "x.npy", seen.append)

    backbone.train()
    first = ask(lambda: batches)
    assert seen == [4, 7, 10]
    again = ask(broken)
    assert len(seen) == 3
    with torch.no_grad(), autocast(dtype):
        expected = torch.cat([backbone(PREPROCESSING.normalise(batch.images)) for batch in batches])
    assert expected.dtype == dtype
    for found in (first, again):
        assert len(found) == 10
        served = found.normalise(torch.from_numpy(found.take(np.arange(10))))
        assert served.dtype == dtype
        assert torch.equal(served, expected)


def test_a_frozen_backbone_that_answers_nan_is_named_and_nothing_is_kept(
    backbone: Backbone, batches: list[Batch], tmp_path: Path
) -> None:
    with torch.no_grad():
        backbone.get_parameter(next(name for name, _ in backbone.named_parameters())).fill_(torch.nan)
    with pytest.raises(UserError, match=r"^model\.backbone: frozen, it answers NaN or infinities in float32; set "):
        compute_features(
            backbone, lambda: batches, 10, PREPROCESSING, autocast(torch.float32), tmp_path / "x.npy", lambda _: None
        )
    assert not (tmp_path / "x.npy").exists()


def test_key_is_another_for_whatever_changes_features_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    base: dict[str, Any] = {
        "pixels": "p",
        "settings": SETTINGS,
        "state": "s",
        "processor": "c",
        "dtype": torch.float32,
        "batch_size": 32,
    }
    key = features_key(**base)
    assert key == features_key(**base)
    assert set(key) <= set("0123456789abcdef")

    def settings(**changes: Any) -> BackboneSettings:
        return SETTINGS.model_copy(update=changes)

    for changes in ({"weights": "/elsewhere/weights.pth"}, {"freeze": "all"}, {"mean": SETTINGS.normalisation()[0]}):
        assert features_key(**{**base, "settings": settings(**changes)}) == key
    others = [
        {"pixels": "q"},
        {"state": "t"},
        {"processor": "d"},
        {"dtype": torch.bfloat16},
        {"batch_size": 16},
        {"settings": settings(name="test_resnet.r160_in1k")},
        {"settings": settings(options={"output_stride": 16})},
        {"settings": settings(std=(0.1, 0.2, 0.3))},
    ]
    keys = [features_key(**{**base, **change}) for change in others]
    assert len({key, *keys}) == len(others) + 1
    for name, value in {"_VERSION": -1, "version": lambda package: "0"}.items():
        with monkeypatch.context() as patched:
            patched.setattr(f"multitask.model.frozen_features.{name}", value)
            assert features_key(**base) != key
