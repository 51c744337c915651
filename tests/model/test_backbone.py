from __future__ import annotations

import argparse
import inspect
import io
import os
import pickle
import zipfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.model.backbone import Backbone
from multitask.model.settings import BackboneSettings
from multitask.model.stages import add_group_matcher, stages
from multitask.settings import validate
from multitask.training.checkpoint import save_checkpoint

import timm  # isort: skip  (after backbone, which makes it importable)

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
SIZES = [(64, 64), (64, 48)]
"""Square and 4:3, and no model's own."""


def settings(name: str = "test_resnet", **changes: Any) -> BackboneSettings:
    return validate(BackboneSettings, {"name": name, "weights": "none", **changes})


def build(name: str = "test_resnet", size: tuple[int, int] = (32, 24), seed: int = 0, **changes: Any) -> Backbone:
    torch.manual_seed(seed)
    return Backbone(settings(name, **changes), size)


def images(size: tuple[int, int] = (32, 24), count: int = 4) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))


def features(backbone: Backbone, size: tuple[int, int] = (32, 24)) -> Tensor:
    backbone.eval()
    with torch.no_grad():
        result: Tensor = backbone(images(size))
    return result


def save(state: Any, path: Path) -> str:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return str(path)


def error_of(name: str, path: str | Path, size: tuple[int, int] = (32, 24)) -> str:
    with pytest.raises(UserError) as caught:
        Backbone(settings(name, weights=str(path)), size)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


# --- families ---------------------------------------------------------------------------------------------------


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
        module.drop_prob for module in build("test_efficientnet", drop_path=0.3).modules() if _is_drop_path(module)
    ]
    assert max(rates) > 0.2
    plain = build("test_efficientnet")
    assert not any(module.drop_prob for module in plain.modules() if _is_drop_path(module))
    padded = build("test_efficientnet", options={"pad_type": "same"})
    assert type(padded.body.conv_stem).__name__ == "Conv2dSame"
    assert type(plain.body.conv_stem).__name__ == "Conv2d"


def _is_drop_path(module: nn.Module) -> bool:
    return type(module).__name__ == "DropPath"


# --- what cannot be built ---------------------------------------------------------------------------------------


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


def test_freezing_random_weights_is_refused() -> None:
    with pytest.raises(UserError, match="would keep random weights"):
        settings(freeze=1)


def test_missing_weights_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no file .*absent\.pth"):
        settings(weights=str(tmp_path / "absent.pth"))


def test_more_frozen_stages_than_there_are_is_refused(tmp_path: Path) -> None:
    weights = save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"^model.backbone.freeze: test_resnet has 5 stages, found 6$"):
        Backbone(settings(weights=weights, freeze=6), (32, 24))
    Backbone(settings(weights=weights, freeze=5), (32, 24))


# --- weights files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "wrapper"),
    [(".safetensors", None), (".pth", None), (".pth", "state_dict"), (".pth", "model"), (".pth", "state_dict_ema")],
)
def test_weights_file_gives_the_features_of_the_model_it_came_from(
    suffix: str, wrapper: str | None, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    source = timm.create_model("test_resnet", num_classes=7).eval()
    state: Any = dict(source.state_dict())
    path = save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / f"weights{suffix}")
    loaded = build(weights=path)
    with torch.no_grad():
        expected = source.forward_head(source.forward_features(images()), pre_logits=True)
    assert torch.equal(features(loaded), expected)
    assert not torch.equal(features(build()), expected)


def test_weights_saved_from_a_wrapped_model_are_unwrapped(tmp_path: Path) -> None:
    source = build(seed=5)
    path = save({f"module.{key}": value for key, value in source.body.state_dict().items()}, tmp_path / "weights.pth")
    assert torch.equal(features(build(weights=path)), features(source))


@pytest.mark.parametrize("prefix", ["model.", "backbone.body.", "net.encoder.", "module.model."])
def test_what_a_wrapper_puts_before_the_names_is_taken_off(prefix: str, tmp_path: Path) -> None:
    source = build(seed=5)
    state = {f"{prefix}{key}": value for key, value in source.body.state_dict().items()}
    path = save({"state_dict": {**state, "criterion.weight": torch.ones(2)}, "epoch": 3}, tmp_path / "weights.ckpt")
    assert torch.equal(features(build(weights=path)), features(source))


def test_a_file_with_the_network_twice_is_refused_and_both_are_named(tmp_path: Path) -> None:
    state = build(seed=5).body.state_dict()
    path = save(
        {f"{who}.{key}": value for who in ("student", "teacher") for key, value in state.items()}, tmp_path / "w.pth"
    )
    assert "holds 2 such networks: student, teacher; save the state dict of one" in error_of("test_resnet", path)


def test_checkpoint_of_timms_own_saver_is_read(tmp_path: Path) -> None:
    torch.manual_seed(5)
    source = timm.create_model("test_resnet", num_classes=7).eval()
    optimizer = torch.optim.AdamW(source.parameters())
    args = argparse.Namespace(model="test_resnet", lr=0.1, mean=(0.5, 0.5, 0.5))
    saver = timm.utils.CheckpointSaver(source, optimizer, args=args, checkpoint_dir=str(tmp_path))
    saver.save_checkpoint(0, 0.5)
    with torch.no_grad():
        expected = source.forward_head(source.forward_features(images()), pre_logits=True)
    assert torch.equal(features(build(weights=str(tmp_path / "last.pth.tar"))), expected)


def test_a_checkpoint_that_needs_another_class_is_refused_and_the_class_named(tmp_path: Path) -> None:
    state = {"state_dict": build().body.state_dict(), "metric": np.float64(0.5)}
    message = error_of("test_resnet", save(state, tmp_path / "w.pth"))
    assert "scalar" in message
    assert message.endswith("; save its state dict alone")


@pytest.mark.parametrize("average", [False, True])
def test_a_runs_own_checkpoint_gives_its_backbone_the_average_where_there_is_one(average: bool, tmp_path: Path) -> None:
    source, last = build(seed=5), build(seed=6)
    network = {f"backbone.{key}": value for key, value in source.state_dict().items()}
    other = {f"backbone.{key}": value for key, value in last.state_dict().items()}
    state = {"network": other, "ema": network} if average else {"epoch": 1, "network": network}
    save_checkpoint(tmp_path / "best.safetensors", state)
    assert torch.equal(features(build(weights=str(tmp_path / "best.safetensors"))), features(source))


def test_position_embeddings_are_resampled_to_another_size(tmp_path: Path) -> None:
    options = FAMILIES["deit_tiny_patch16_224"]
    torch.manual_seed(5)
    source = timm.create_model("deit_tiny_patch16_224", num_classes=0, **options)
    with torch.no_grad():
        source.pos_embed.fill_(0.25)
    path = save(source.state_dict(), tmp_path / "weights.safetensors")
    backbone = build("deit_tiny_patch16_224", (64, 48), weights=path, options=options)
    assert source.pos_embed.shape[1] == 1 + 14 * 14
    assert backbone.body.pos_embed.shape[1] == 1 + 4 * 3
    assert torch.allclose(backbone.body.pos_embed, torch.full_like(backbone.body.pos_embed, 0.25), atol=1e-3)
    assert torch.equal(backbone.body.blocks[1].mlp.fc1.weight, source.blocks[1].mlp.fc1.weight)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    path = save(timm.create_model("test_vit").state_dict(), tmp_path / "weights.pth")
    assert "does not fit test_resnet: it lacks" in error_of("test_resnet", path)


def test_weights_that_lack_a_layer_are_refused_and_the_layer_named(tmp_path: Path) -> None:
    state = timm.create_model("test_resnet").state_dict()
    del state["layer2.0.conv1.weight"]
    path = save(state, tmp_path / "weights.safetensors")
    assert "lacks 1 of 90 tensors, as 'layer2.0.conv1.weight'" in error_of("test_resnet", path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    state = timm.create_model("test_resnet").state_dict()
    state["layer2.0.conv1.weight"] = state["layer2.0.conv1.weight"][:1].clone()
    path = save(state, tmp_path / "weights.pth")
    assert "does not fit test_resnet" in error_of("test_resnet", path)


@pytest.mark.parametrize("state", [{}, [torch.zeros(2)], {"epoch": 3}, {"model": {"a": "b"}}, torch.zeros(3)])
def test_file_without_a_state_dict_is_refused(state: Any, tmp_path: Path) -> None:
    path = save(state, tmp_path / "weights.pth")
    assert "must hold a state dict of tensors" in error_of("test_resnet", path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", [b"", b"\0", b"PK\x03\x04 not a zip", b"\x80\x02cno.where\nx\n.", b"abc" * 100])
def test_file_that_is_no_weights_is_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    assert "holds no weights that can be read safely" in error_of("test_resnet", path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999])
def test_truncated_weights_are_refused(share: float, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    save(timm.create_model("test_resnet").state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "holds no weights that can be read safely" in error_of("test_resnet", path)


class _Bomb:
    """Unpickled by Python's own reader, makes a file."""

    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("form", ["pickle", "torch", "torch_legacy"])
def test_pickle_that_would_run_code_is_refused_and_does_not_run(form: str, tmp_path: Path) -> None:
    target = tmp_path / "owned"
    path = tmp_path / "weights.pth"
    state = {"conv1.weight": torch.zeros(2), "bomb": _Bomb(str(target))}
    if form == "pickle":
        path.write_bytes(pickle.dumps(state["bomb"], protocol=2))
        pickle.loads(path.read_bytes())
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "torch")
        torch.load(path, weights_only=False)
    assert target.is_dir(), "the bomb does not work, so this test shows nothing"
    target.rmdir()
    assert "holds no weights that can be read safely" in error_of("test_resnet", path)
    assert not target.exists()


def test_zip_with_foreign_members_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    path = tmp_path / "weights.pth"
    path.write_bytes(buffer.getvalue())
    error_of("test_resnet", path)


# --- frozen stages ----------------------------------------------------------------------------------------------


def _trained_state(backbone: Backbone) -> dict[str, Tensor]:
    """The state after a step with the statistics updated."""
    backbone.train()
    head = nn.Linear(backbone.widths.pooled, 2)
    optimizer = torch.optim.SGD([*(p for p in backbone.parameters() if p.requires_grad), *head.parameters()], lr=0.1)
    head(backbone(images())).square().sum().backward()
    optimizer.step()
    return {key: value.clone() for key, value in backbone.body.state_dict().items()}


@pytest.mark.parametrize(
    ("freeze", "stages"), [("none", ()), (1, ("conv1", "bn1")), (3, ("conv1", "bn1", "layer1", "layer2"))]
)
def test_frozen_stages_and_their_statistics_stay_and_the_rest_changes(
    freeze: Any, stages: tuple[str, ...], tmp_path: Path
) -> None:
    # timm starts the last norm of a residual branch at 0, which stops the gradient of the branch in the first step.
    source = timm.create_model("test_resnet", zero_init_last=False)
    backbone = Backbone(settings(weights=save(source.state_dict(), tmp_path / "weights.pth"), freeze=freeze), (32, 24))
    before = {key: value.clone() for key, value in backbone.body.state_dict().items()}
    after = _trained_state(backbone)
    for key, value in before.items():
        assert torch.equal(value, after[key]) == (key.split(".")[0] in stages), key


@pytest.mark.parametrize(("name", "num_stages"), [("pit_ti_224", 5), ("poolformerv2_s12", 6), ("csatv2", 6)])
def test_stages_of_a_model_that_comes_without_a_group_matcher(name: str, num_stages: int) -> None:
    with torch.device("meta"):
        body = timm.create_model(name, num_classes=0)
    assert not hasattr(body, "group_matcher")
    found = stages(body, name, "model.backbone.freeze")
    names = [key for key, _ in body.named_parameters()]
    assert sorted(key for stage in found.values() for key in stage) == sorted(names)
    assert len(found) == num_stages
    assert set(found[0]) == set(names[: len(found[0])])
    depths = timm.models.group_parameters(body, body.group_matcher(coarse=False), reverse=True)
    order = [depths[key] for key in names]
    assert order == sorted(order)
    assert order[-1] > num_stages


def test_a_model_whose_modules_tell_no_stages_is_refused_where_they_are_needed() -> None:
    body = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(
        UserError, match=r"^training\.optimizer\.layer_decay: timm does not say what the stages of odd are"
    ):
        add_group_matcher(body, "odd", "training.optimizer.layer_decay")


def test_freeze_all_leaves_everything_and_keeps_no_graph(tmp_path: Path) -> None:
    path = save(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.pth")
    backbone = Backbone(settings(weights=path, freeze="all"), (32, 24))
    before = {key: value.clone() for key, value in backbone.body.state_dict().items()}
    after = _trained_state(backbone)
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert not backbone(images()).requires_grad
    assert list(backbone.parameter_groups(0.1, 0.5)) == []


def test_frozen_dropout_and_stochastic_depth_are_off(tmp_path: Path) -> None:
    path = save(timm.create_model("test_efficientnet").state_dict(), tmp_path / "weights.pth")
    backbone = Backbone(settings("test_efficientnet", weights=path, freeze="all", drop_path=0.5), (32, 24)).train()
    assert torch.equal(backbone(images()), backbone(images()))


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
