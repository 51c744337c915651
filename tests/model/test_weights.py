"""Weights files: what other tools save is read, what is damaged or would run code is refused."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from multitask.errors import UserError
from multitask.model.backbone import Backbone
from multitask.training.checkpoint import save_checkpoint
from tests.model.small_backbone import FAMILIES, build, images, save, settings

import timm  # isort: skip  (after backbone, which makes it importable)


def features(backbone: Backbone, size: tuple[int, int] = (32, 24)) -> Tensor:
    backbone.eval()
    with torch.no_grad():
        result: Tensor = backbone(images(size))
    return result


def error_of(name: str, path: str | Path, size: tuple[int, int] = (32, 24)) -> str:
    with pytest.raises(UserError) as caught:
        Backbone(settings(name, weights=str(path)), size)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_missing_weights_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no file .*absent\.pth"):
        settings(weights=str(tmp_path / "absent.pth"))


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
