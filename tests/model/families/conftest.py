"""One member of every family that timm has: built in a config's terms, blacked at its borders, trained for a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from multitask.model.backbone import Backbone
from multitask.model.coverage import _parameters_as_trained
from multitask.model.settings import BackboneSettings
from multitask.settings import validate

_VIT = {"depth": 1, "embed_dim": 48, "num_heads": 3}
_SWIN = {"embed_dim": 24, "depths": [1, 1], "num_heads": [2, 4]}
_OPTIONS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("beit", "deit", "eva", "naflexvit", "deepseek_vit", "gemma4_vit", "qwen3_vit"), _VIT),
    **dict.fromkeys(("swin_transformer", "swin_transformer_v2", "swin_transformer_v2_cr"), _SWIN),
    "vision_transformer_sam": {**_VIT, "global_attn_indexes": [0]},
    "cait": {**_VIT, "depth": 2},
    "davit": {"depths": [1, 1], "embed_dims": [24, 48], "num_heads": [1, 2]},
    "nasnet": {"num_features": 96},
}
"""Of families that have no small member."""
_SIZES = {
    **dict.fromkeys(("crossvit",), 240),
    **dict.fromkeys(("efficientformer", "sequencer"), 224),
    "byoanet": 256,
    "deepseek_vit": 56,
    "convmixer": 63,
}
"""Pixels a side, where 64 is none that the family takes."""
_UNPADDED = {
    **dict.fromkeys(("inception_resnet_v2", "inception_v3", "inception_v4"), 128),
    **dict.fromkeys(("nasnet", "pnasnet", "xception"), 96),
}
"""Families whose convolutions leave out a strip of nearly every size; and pixels a side, to be tried nevertheless."""
_BORDERS = {
    "top": (..., slice(0, 2), slice(None)),
    "bottom": (..., slice(-2, None), slice(None)),
    "left": (..., slice(0, 2)),
    "right": (..., slice(-2, None)),
}
"""Two pixels wide: a 1 x 1 convolution of stride 2 reads every other row."""
MEMBERS = {
    "beit": "beit_base_patch16_224",
    "byoanet": "halonet_h1",
    "byobnet": "test_byobnet",
    "cait": "cait_xxs24_224",
    "coat": "coat_tiny",
    "convit": "convit_tiny",
    "convmixer": "convmixer_768_32",
    "convnext": "test_convnext",
    "cpubone": "cpubone_nano",
    "crossvit": "crossvit_tiny_240",
    "csatv2": "csatv2",
    "cspnet": "cs3darknet_focus_s",
    "cspnext": "cspnext_tiny",
    "davit": "davit_tiny",
    "deepseek_vit": "deepseek_vit_412m",
    "deit": "deit_tiny_patch16_224",
    "densenet": "densenet121",
    "dla": "dla46x_c",
    "dpn": "dpn48b",
    "edgenext": "edgenext_xx_small",
    "efficientformer": "efficientformer_l1",
    "efficientformer_v2": "efficientformerv2_s0",
    "efficientnet": "test_efficientnet",
    "efficientvim": "efficientvim_m1",
    "efficientvit_mit": "efficientvit_b0",
    "efficientvit_msra": "efficientvit_m0",
    "eva": "vit_tiny_patch16_dinov3_qkvb",
    "fasternet": "fasternet_t0",
    "fastvit": "fastvit_t8",
    "focalnet": "focalnet_tiny_srf",
    "gcvit": "gcvit_xxtiny",
    "gemma4_vit": "gemma4_vit_167m",
    "ghostnet": "ghostnet_050",
    "hardcorenas": "hardcorenas_b",
    "hgnet": "hgnetv2_b0",
    "hiera": "hiera_tiny_224",
    "hieradet_sam2": "sam2_hiera_tiny",
    "hrnet": "hrnet_w18_small",
    "iformer": "iformer_t",
    "inception_next": "inception_next_atto",
    "inception_resnet_v2": "inception_resnet_v2",
    "inception_v3": "inception_v3",
    "inception_v4": "inception_v4",
    "lcnetv2": "lcnetv2_small",
    "levit": "levit_128s",
    "lowformer": "lowformer_b0",
    "mambaout": "test_mambaout",
    "maxxvit": "test_coatnet",
    "metaformer": "poolformerv2_s12",
    "mlp_mixer": "gmlp_ti16_224",
    "mobilenetv3": "lcnet_035",
    "mobilenetv5": "mobilenetv5_base",
    "mobilevit": "mobilevit_xxs",
    "mvitv2": "mvitv2_tiny",
    "naflexvit": "naflexvit_base_patch16_parfac_gap",
    "nasnet": "nasnetalarge",
    "nest": "nest_tiny",
    "nextvit": "nextvit_small",
    "nfnet": "test_nfnet",
    "pit": "pit_ti_224",
    "pnasnet": "pnasnet5large",
    "pvt_v2": "pvt_v2_b0",
    "qwen3_vit": "qwen3_vit_88m",
    "rdnet": "rdnet_tiny",
    "regnet": "regnetx_002",
    "repghost": "repghostnet_050",
    "repvit": "repvit_m1",
    "res2net": "res2next50",
    "resnest": "resnest14d",
    "resnet": "test_resnet",
    "resnetv2": "resnetv2_18",
    "rexnet": "rexnet_100",
    "selecsls": "selecsls42",
    "senet": "legacy_seresnet18",
    "sequencer": "sequencer2d_s",
    "shvit": "shvit_s1",
    "sknet": "skresnet18",
    "starnet": "starnet_s050",
    "swiftformer": "swiftformer_xs",
    "swin_transformer": "swin_tiny_patch4_window7_224",
    "swin_transformer_v2": "swinv2_tiny_window8_256",
    "swin_transformer_v2_cr": "swinv2_cr_tiny_224",
    "tiny_vit": "tiny_vit_5m_224",
    "tnt": "tnt_s_legacy_patch16_224",
    "tresnet": "tresnet_m",
    "twins": "twins_svt_small",
    "vgg": "vgg11",
    "visformer": "visformer_tiny",
    "vision_transformer": "test_vit",
    "vision_transformer_hybrid": "vit_tiny_r_s16_p8_224",
    "vision_transformer_relpos": "test_vit_relpos",
    "vision_transformer_sam": "samvit_base_patch16_224",
    "vitamin": "vitamin_small_224",
    "volo": "volo_d1_224",
    "vovnet": "ese_vovnet19b_slim_dw",
    "xception": "legacy_xception",
    "xception_aligned": "xception41p",
    "xcit": "xcit_nano_12_p8_224",
}
"""The smallest member of every family."""


def _try(family: str) -> None:
    side = _UNPADDED.get(family, _SIZES.get(family, 64))
    torch.manual_seed(0)
    section = {"name": MEMBERS[family], "weights": "none", "options": _OPTIONS.get(family, {})}
    backbone = Backbone(validate(BackboneSettings, section), (side, side), pretrained=family not in _UNPADDED)
    assert family in _UNPADDED or not _unseen_borders(backbone, side)
    head = torch.nn.Linear(backbone.widths.pooled, 2)
    groups = [*backbone.parameter_groups(0.01, None), {"params": list(head.parameters())}]
    optimizer = torch.optim.SGD(groups, lr=1e-4)
    logits = head(backbone.train()(torch.randn(2, 3, side, side)))
    F.cross_entropy(logits, torch.tensor([0, 1])).backward()
    optimizer.step()
    assert any(weight.grad is not None and weight.grad.any() for weight in backbone.parameters())
    with torch.no_grad():
        assert head(backbone.eval()(torch.randn(1, 3, side, side))).shape == (1, 2)


def _unseen_borders(backbone: Backbone, side: int) -> list[str]:
    """The borders that may be black without a change of the answer."""
    images = torch.randn(1, 3, side, side)
    with torch.no_grad(), _parameters_as_trained(backbone.body):  # at first some branches are closed
        seen = backbone.eval()(images)
        return [name for name, strip in _BORDERS.items() if torch.equal(backbone(_blacked(images, strip)), seen)]


def _blacked(images: torch.Tensor, strip: tuple[Any, ...]) -> torch.Tensor:
    images = images.clone()
    images[strip] = 0
    return images


@pytest.fixture
def try_family() -> Callable[[str], None]:
    """Builds the family's member, trains it for a step and asks it; every border that is blacked changes the answer."""
    return _try
