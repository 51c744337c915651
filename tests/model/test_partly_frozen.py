"""A partly frozen backbone in two: what its frozen stages give, and what is trained on it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from multitask.errors import UserError
from multitask.model.backbone import Backbone
from multitask.model.partly_frozen import split
from tests.model.small_backbone import FAMILIES, images, save, settings

import timm  # isort: skip  (after multitask, which makes it importable)

SIZES = {
    "deit_tiny_patch16_224": (224, 224),
    "beit_base_patch16_224": (224, 224),
    "swin_tiny_patch4_window7_224": (224, 224),
}
NAMES = (*FAMILIES, "test_resnet", "test_vit", "test_byobnet")


def partly_frozen(name: str, freeze: int, path: Path) -> tuple[Backbone, tuple[int, int]]:
    options, size = FAMILIES.get(name, {}), SIZES.get(name, (64, 64))
    torch.manual_seed(0)
    weights = save(timm.create_model(name, num_classes=0, **options).state_dict(), path / "weights.pth")
    return Backbone(settings(name, weights=weights, freeze=freeze, options=options), size), size


def gradients(network: torch.nn.Module, total: Tensor) -> dict[str, Tensor]:
    network.zero_grad()
    total.backward()
    return {name: value.grad.clone() for name, value in network.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("freeze", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_both_in_turn_give_and_learn_what_the_backbone_does(name: str, freeze: int, tmp_path: Path) -> None:
    whole, size = partly_frozen(name, freeze, tmp_path)
    frozen, trained = split(whole, size)
    batch = images(size, 5)
    rows = frozen.forward_features(batch).pooled
    assert rows.shape == (5, frozen.widths.pooled)
    whole.eval(), trained.eval()
    expected, found = whole.forward_features(batch), trained.forward_features(rows)
    torch.testing.assert_close(found.pooled, expected.pooled, rtol=1e-3, atol=1e-5)
    assert (found.map is None) == (expected.map is None)
    one = gradients(whole, expected.pooled.square().sum())
    other = gradients(trained, found.pooled.square().sum())
    assert one.keys() == other.keys()
    largest = max(float(gradient.abs().max()) for gradient in one.values())
    for key, gradient in one.items():
        torch.testing.assert_close(other[key], gradient, rtol=1e-2, atol=1e-4 * largest)


def test_what_is_trained_is_the_backbone_s_own_under_the_same_names(tmp_path: Path) -> None:
    whole, size = partly_frozen("test_vit", 2, tmp_path)
    _, trained = split(whole, size)
    own = dict(whole.named_parameters())
    learns = {name for name, value in own.items() if value.requires_grad}
    assert {name for name, value in trained.named_parameters() if value.requires_grad} == learns
    assert all(value is own[name] for name, value in trained.named_parameters())
    assert any("blocks.0" in name for name in own)
    assert not any("blocks.0" in name for name in trained.state_dict())
    assert trained.parameter_groups(0.05, 0.7)
    assert copy.deepcopy(trained).state_dict().keys() == trained.state_dict().keys()


def test_the_frozen_stages_run_no_further_than_they_must(tmp_path: Path) -> None:
    whole, size = partly_frozen("test_vit", 2, tmp_path)
    frozen, _ = split(whole, size)
    ran: list[str] = []
    for name, module in whole.body.named_modules():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    frozen.forward_features(images(size))
    assert frozen.at in ran or frozen.at == ran[-1]
    assert not any(name.startswith("blocks.1") for name in ran)
    assert frozen.frozen
    assert list(frozen.parameter_groups(0.05, None)) == []


def test_channels_stay_neighbours_in_memory(tmp_path: Path) -> None:
    whole, size = partly_frozen("test_resnet", 2, tmp_path)
    frozen, trained = split(whole, size)
    batch = images(size).contiguous(memory_format=torch.channels_last)
    rows = frozen.forward_features(batch).pooled
    assert trained.rows.channels_last
    assert trained.rows.unpack(rows).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(trained.rows.pack(trained.rows.unpack(rows)), rows)


class _Model(torch.nn.Module):
    """Three convolutions, of which the first two are frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (torch.nn.Conv2d(3, 3, 1) for _ in range(3))
        self.first.requires_grad_(False)
        self.second.requires_grad_(False)
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        return features.mean(dim=(2, 3))


class _Skipping(_Model):
    """What it trains reads what a frozen module before the last one gave."""

    def forward_features(self, images: Tensor) -> Tensor:
        first = self.first(images)
        return self.third(self.second(first) + first) * self.scale  # type: ignore[no-any-return]


class _Scaled(_Model):
    """It trains something before its last frozen module."""

    def forward_features(self, images: Tensor) -> Tensor:
        return self.third(self.second(self.first(images) * self.scale))  # type: ignore[no-any-return]


class _Reading(_Model):
    """What it trains reads the image."""

    def forward_features(self, images: Tensor) -> Tensor:
        return self.third(self.second(self.first(images)) + images) * self.scale  # type: ignore[no-any-return]


class _Counting(_Model):
    """It counts the images itself, and brings what is for each of them together with a frozen module's output."""

    def forward_features(self, images: Tensor) -> Tensor:
        shift = torch.ones(1, 3, 1, 1).repeat(len(images), 1, 1, 1)
        return self.third(self.second(self.first(images) + shift)) * self.scale  # type: ignore[no-any-return]


class _Keeping(_Model):
    """In evaluation mode it keeps what it made of a weight, as LeViT its position biases."""

    kept: Tensor | None = None

    def train(self, mode: bool = True) -> _Keeping:
        self.kept = None
        return super().train(mode)

    def forward_features(self, images: Tensor) -> Tensor:
        scale = self.scale * 2 if self.kept is None else self.kept
        self.kept = None if self.training else scale
        return self.third(self.second(self.first(images) * scale))  # type: ignore[no-any-return]


class _Fork(torch.nn.Module):
    """A map twice, as a list."""

    def forward(self, places: Tensor) -> list[Tensor]:
        return [places, places * 2]


class _Listing(_Model):
    """Reads a frozen module's list behind the frozen stages too, as HRNet its maps of several resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.fork = _Fork()

    def forward_features(self, images: Tensor) -> Tensor:
        one, two = self.fork(self.first(images))
        return self.third(self.second(one) + two)  # type: ignore[no-any-return]


class _Wrapped(_Model):
    """Its blocks lie in a module of their own, as those of Gemma's ViT."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Module()
        self.encoder.blocks = torch.nn.ModuleList([self.first, self.second, self.third])
        del self.first, self.second, self.third

    def forward_features(self, images: Tensor) -> Tensor:
        for block in self.encoder.blocks:  # type: ignore[union-attr]
            images = block(images)
        return images * self.scale


def modelled(model: type[_Model], path: Path) -> Backbone:
    whole, _ = partly_frozen("test_resnet", 2, path)
    torch.manual_seed(0)
    whole.body = model()
    whole.note_frozen()
    return whole


@pytest.mark.parametrize(
    ("model", "at"),
    [
        (_Skipping, "first"),
        (_Scaled, "first"),
        (_Listing, "first"),
        (_Counting, "second"),
        (_Keeping, "first"),
        (_Wrapped, "encoder.blocks.1"),
    ],
)
def test_a_model_goes_on_from_the_last_module_behind_which_it_can(model: type[_Model], at: str, tmp_path: Path) -> None:
    whole = modelled(model, tmp_path)
    frozen, trained = split(whole, (16, 12))
    assert frozen.at == at
    assert any(value is whole.body.scale for value in trained.parameters())
    rows = frozen.forward_features(images((16, 12))).pooled
    expected = whole.forward_features(images((16, 12))).pooled
    torch.testing.assert_close(trained.forward_features(rows).pooled, expected)


def test_a_model_that_reads_the_image_behind_them_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"^model\.backbone\.features: test_resnet cannot be taken up .*\(second: .*other features.*\); freeze",
    ):
        split(modelled(_Reading, tmp_path), (16, 12))


def test_no_module_of_a_block_is_one_to_go_on_from(tmp_path: Path) -> None:
    whole, size = partly_frozen("test_nfnet", 1, tmp_path)  # its first trained block begins with a pool
    frozen, _ = split(whole, size)
    assert frozen.at == "stem"
