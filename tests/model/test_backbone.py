"""A backbone: built of any family at any size, its layers told apart, and what cannot be built."""

from __future__ import annotations

import inspect
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from multitask.errors import UserError
from multitask.model.backbone import Backbone
from tests.model.small_backbone import FAMILIES, build, images, save, settings

import timm  # isort: skip  (after backbone, which makes it importable)

SIZES = [(64, 64), (64, 48)]
"""Square and 4:3, and no model's own."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FAMILIES)
def test_family_at_a_size_not_its_own_gives_features_and_finite_gradients(name: str, size: tuple[int, int]) -> None:
    backbone = build(name, size, options=FAMILIES[name]).train()
    output = backbone(images(size))
    assert output.shape == (4, backbone.widths.pooled)
    assert torch.isfinite(output).all()
    output.square().sum().backward()
    for key, parameter in backbone.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", FAMILIES)
def test_layer_decay_rises_from_stem_to_the_last_layer(name: str) -> None:
    backbone = build(name, (64, 48), options=FAMILIES[name])
    groups = list(backbone.parameter_groups(0.1, 0.5))
    scales = [group["lr_scale"] for group in groups]
    assert scales == sorted(scales)
    assert scales[-1] == 1.0
    assert scales[0] < 0.5
    first = next(iter(backbone.parameters()))
    assert any(first is parameter for group in groups[:2] for parameter in group["params"])


@pytest.mark.parametrize("layer_decay", [None, 0.7])
@pytest.mark.parametrize("freeze", ["none", 2])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_trained_parameter_is_in_exactly_one_group(
    name: str, freeze: Any, layer_decay: float | None, tmp_path: Path
) -> None:
    options = FAMILIES[name]
    weights = save(timm.create_model(name, num_classes=0, **options).state_dict(), tmp_path / "weights.pth")
    backbone = Backbone(settings(name, weights=weights, freeze=freeze, options=options), (224, 224))
    groups = list(backbone.parameter_groups(0.1, layer_decay))
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    trained = [id(parameter) for parameter in backbone.parameters() if parameter.requires_grad]
    assert sorted(grouped) == sorted(trained)
    assert all(group["params"] for group in groups)


def test_biases_and_norms_are_not_decayed() -> None:
    backbone = build()
    for group in backbone.parameter_groups(0.1, None):
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)


def test_drop_path_and_pad_type_reach_timm() -> None:
    rates = [
        module.drop_prob for module in build("mobilenetv3_small_050", drop_path=0.3).modules() if _is_drop_path(module)
    ]
    assert max(rates) > 0.2
    plain = build("mobilenetv3_small_050")
    assert not any(module.drop_prob for module in plain.modules() if _is_drop_path(module))
    plain = build("test_efficientnet")
    padded = build("test_efficientnet", options={"pad_type": "same"})
    assert type(padded.body.conv_stem).__name__ == "Conv2dSame"
    assert type(plain.body.conv_stem).__name__ == "Conv2d"


def _is_drop_path(module: nn.Module) -> bool:
    return type(module).__name__ == "DropPath"


def test_stochastic_depth_that_a_network_does_not_take_is_refused_by_its_own_key() -> None:
    with pytest.raises(UserError, match=r"^model.backbone.drop_path: vgg11 does not take it; leave it out$"):
        build("vgg11", drop_path=0.1)


def test_stochastic_depth_that_a_network_takes_and_ignores_is_refused() -> None:
    message = r"^model.backbone.drop_path: 0.1 would be ignored: lcnet_035 has no residual branch"
    with pytest.raises(UserError, match=message):
        build("lcnet_035", drop_path=0.1)  # whose blocks have the module, but no skip connection
    build("lcnet_035", drop_path=0.0)
    build("mobilenetv3_small_050", drop_path=0.1)


def test_unknown_backbone_is_refused_with_near_names() -> None:
    with pytest.raises(UserError, match=r"^name: timm has no model 'mobilnetv2_100'; did you mean .*'mobilenetv2_100'"):
        settings("mobilnetv2_100")


def test_unknown_tag_is_refused_with_near_tags() -> None:
    with pytest.raises(
        UserError, match=r"^name: timm has no weights 'resnet18.a1_in1'; did you mean 'resnet18.a1_in1k'"
    ):
        settings("resnet18.a1_in1")


def test_unknown_option_is_refused() -> None:
    with pytest.raises(UserError, match=r"^model.backbone.options: test_vit does not take them: .*'dept'"):
        build("test_vit", options={"dept": 2})


@pytest.mark.parametrize(
    "key", ["pretrained", "num_classes", "img_size", "in_chans", "drop_path_rate", "features_only"]
)
def test_options_that_are_set_elsewhere_are_refused(key: str) -> None:
    with pytest.raises(UserError, match=f"options cannot set '{key}'"):
        settings(options={key: 1})


@pytest.mark.parametrize(
    "options",
    [
        {"checkpoint_path": "x.pth"},
        {"pretrained_cfg": {"file": "x.pth"}},
        {"pretrained_cfg_overlay": {"file": "x.pth"}},
        {"cache_dir": "x"},
        {"block_args": [{"hf_hub_id": "a/b"}]},
        {"norm_args": {"url": "https://x"}},
        {"pretrained_model_args": {}},
    ],
)
def test_options_that_load_anything_are_refused_at_any_depth(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"options cannot set '\w+'; what is loaded is said by weights"):
        settings(options=options)


def test_whatever_timms_factory_takes_for_itself_is_refused_as_an_option() -> None:
    taken: set[str] = set()
    for function in (timm.create_model, timm.models.build_model_with_cfg):
        parameters = inspect.signature(function).parameters.values()
        taken |= {parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD}
    for key in taken | {"features_only", "out_indices", "feature_cls", "pruned", "device", "dtype"}:
        with pytest.raises(UserError, match=f"options cannot set '{key}'"):
            settings(options={key: 1})


def test_an_option_without_a_value_which_timm_drops_is_refused() -> None:
    with pytest.raises(UserError, match=r"options\.pad_typ: has no value and would be ignored"):
        settings(options={"pad_typ": None})


def test_size_that_a_model_cannot_take_is_refused() -> None:
    with pytest.raises(UserError, match=r"^(data.image_size|model.backbone): deit_tiny_patch16_224 "):
        build("deit_tiny_patch16_224", (8, 8), options=FAMILIES["deit_tiny_patch16_224"])


@pytest.mark.parametrize("name", ["test_resnet", "deit_tiny_patch16_224"])
def test_options_without_pooling_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"^model.backbone.options: with them {name} pools no features, .*global_pool"):
        build(name, (64, 48), options={**FAMILIES.get(name, {}), "global_pool": ""})


def test_digest_is_that_of_weights_and_statistics() -> None:
    torch.manual_seed(0)
    backbone = Backbone(settings(), (32, 24))
    before = backbone.state_digest()
    assert backbone.state_digest() == deepcopy(backbone).state_digest() == before
    for value in (next(backbone.parameters()).data, next(backbone.buffers())):
        value.view(-1)[0] += 1e-3
        assert backbone.state_digest() != before
        before = backbone.state_digest()
    backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert backbone.state_digest() == before


def test_an_encoder_that_gives_no_features_to_classify_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Maps(nn.Module):
        def forward_head(self, x: torch.Tensor) -> torch.Tensor:
            return x

    monkeypatch.setattr("multitask.model.backbone.create_body", lambda *_: Maps())
    with pytest.raises(UserError, match=r"^model.backbone.name: test_resnet gives maps for other networks"):
        Backbone(settings(), (32, 24))
