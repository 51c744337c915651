from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from multitask.errors import UserError
from multitask.model.backbone import Backbone
from multitask.model.coverage import WHOLE, unread_margins
from multitask.model.settings import BackboneSettings
from multitask.settings import validate

VIT = {"depth": 1, "embed_dim": 48, "num_heads": 3}


def build(name: str, size: tuple[int, int], pretrained: bool = True, **options: Any) -> Backbone:
    torch.manual_seed(0)
    section = {"name": name, "weights": "none", "options": options}
    return Backbone(validate(BackboneSettings, section), size, pretrained)


def error_of(name: str, size: tuple[int, int], **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        build(name, size, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "size", "ignored", "nearest"),
    [
        ("vit_tiny_patch16_224", (100, 75), "4 rows at the bottom and 11 columns at the right", "96 x 80"),
        ("vit_small_patch14_dinov2", (128, 96), "2 rows at the bottom and 12 columns at the right", "126 x 98"),
        ("beit_base_patch16_224", (64, 40), "8 columns at the right", "64 x 48"),
    ],
)
def test_an_image_that_is_not_read_whole_is_refused_and_the_nearest_size_named(
    name: str, size: tuple[int, int], ignored: str, nearest: str
) -> None:
    message = error_of(name, size, **VIT)
    assert message.startswith(f"data.image_size: {name} does not read images of {size[0]} x {size[1]} px whole")
    assert f"it ignores {ignored}" in message
    assert f"the nearest size that it reads whole is {nearest}" in message
    height, width = map(int, nearest.split(" x "))
    build(name, (height, width), **VIT)


def test_convolutions_that_leave_out_a_strip_are_refused_too() -> None:
    assert "it ignores 2 rows at the bottom; the nearest size that it reads whole is 100 x 64" in error_of(
        "test_convnext", (98, 64)
    )


def test_padding_is_named_where_the_network_has_it_and_then_every_border_counts() -> None:
    assert "model.backbone.options: {dynamic_img_pad: true} pads the images" in error_of(
        "vit_tiny_patch16_224", (100, 75), **VIT
    )
    assert "dynamic_img_pad" not in error_of("beit_base_patch16_224", (64, 40), **VIT)
    backbone = build("vit_tiny_patch16_224", (100, 75), dynamic_img_pad=True, **VIT).eval()
    images = torch.rand(1, 3, 100, 75)
    with torch.no_grad():
        seen = backbone(images)
        for border in (slice(0, 1), slice(99, 100)):
            black = images.clone()
            black[:, :, border] = 0
            assert not torch.equal(backbone(black), seen)
        black = images.clone()
        black[..., 74] = 0
        assert not torch.equal(backbone(black), seen)


def test_a_network_whose_checkpoint_follows_is_not_refused_after_the_fact() -> None:
    build("vit_tiny_patch16_224", (100, 75), pretrained=False, **VIT)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "resnet10t", "mobilenetv2_035"])
def test_looking_leaves_weights_statistics_and_random_numbers_alone(name: str) -> None:
    backbone = build(name, (65, 47), pretrained=False)
    before = {key: value.clone() for key, value in backbone.body.state_dict().items()}
    trained = [parameter.requires_grad for parameter in backbone.body.parameters()]
    drawn = torch.get_rng_state()
    assert unread_margins(backbone.body.eval(), (65, 47)) == WHOLE
    assert torch.equal(torch.get_rng_state(), drawn)
    assert [parameter.requires_grad for parameter in backbone.body.parameters()] == trained
    assert all(parameter.grad is None for parameter in backbone.body.parameters())
    after = backbone.body.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


class Model(nn.Module):
    """A convolution, pooled, with timm's two methods."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(images)
        return found

    def forward_head(self, features: torch.Tensor, pre_logits: bool) -> torch.Tensor:
        return features.mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("layers", "size", "margins"),
    [
        ([nn.Conv2d(3, 4, 3, 2)], (32, 31), (0, 1, 0, 0)),  # no padding: 31 rows of 32
        ([nn.Conv2d(3, 4, 1, 2)], (32, 31), (0, 0, 0, 0)),  # every other row, the last is no worse than those inside
        ([nn.Conv2d(3, 4, 1, 2)], (9, 8), (0, 0, 0, 0)),
        ([nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)], (16, 16), (0, 0, 0, 0)),
        ([nn.ZeroPad2d((-2, 0, -3, -1)), nn.Conv2d(3, 4, 3, padding=1)], (16, 16), (3, 1, 2, 0)),
    ],
)
def test_margins_are_those_of_the_layers(
    layers: list[nn.Module], size: tuple[int, int], margins: tuple[int, ...]
) -> None:
    assert unread_margins(Model(*layers), size) == margins


def test_a_branch_that_begins_closed_is_looked_into() -> None:
    last = nn.BatchNorm2d(4)
    model = Model(nn.Conv2d(3, 4, 3, padding=1), last).eval()
    nn.init.zeros_(last.weight)
    assert unread_margins(model, (8, 8)) == WHOLE
    assert not last.weight.any()


def test_a_branch_that_layer_scale_all_but_closes_is_looked_into() -> None:
    class Scaled(Model):
        def __init__(self) -> None:
            super().__init__(nn.Conv2d(3, 4, 1))
            self.gain = nn.Parameter(torch.full((4, 1, 1), 1e-6))

        def forward_features(self, images: torch.Tensor) -> torch.Tensor:
            inside = self.layers(images)
            return nn.functional.pad(inside[..., :-2], (0, 2)) + 0.01 * self.gain * inside

    model = Scaled()
    assert unread_margins(model, (8, 8)) == WHOLE
    assert (model.gain == 1e-6).all()


def test_one_row_is_not_called_rows() -> None:
    assert "it ignores 1 row at the bottom and 2 columns at the right" in error_of(
        "vit_tiny_patch16_224", (65, 50), **VIT
    )
