"""A backbone that is small, built, fed and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from multitask.model.backbone import Backbone
from multitask.model.settings import BackboneSettings
from multitask.settings import validate

FAMILIES: dict[str, dict[str, Any]] = {
    "deit_tiny_patch16_224": {"depth": 2, "embed_dim": 48, "num_heads": 3},
    "beit_base_patch16_224": {"depth": 2, "embed_dim": 48, "num_heads": 3},
    "test_efficientnet": {},
    "test_convnext": {},
    "swin_tiny_patch4_window7_224": {"embed_dim": 24, "depths": [1, 1], "num_heads": [2, 4]},
    "test_nfnet": {},
    "mobilenetv2_035": {},
    "mobilenetv3_small_050": {},
}


def settings(name: str = "test_resnet", **changes: Any) -> BackboneSettings:
    return validate(BackboneSettings, {"name": name, "weights": "none", **changes})


def build(name: str = "test_resnet", size: tuple[int, int] = (32, 24), seed: int = 0, **changes: Any) -> Backbone:
    torch.manual_seed(seed)
    return Backbone(settings(name, **changes), size)


def images(size: tuple[int, int] = (32, 24), count: int = 4) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))


def save(state: Any, path: Path) -> str:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return str(path)
