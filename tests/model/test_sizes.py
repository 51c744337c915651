"""Sizes that a network cannot take: the line names the size, the setting and a size that would do."""

from __future__ import annotations

from typing import Any

import pytest

from multitask.errors import UserError
from multitask.model.backbone import Backbone
from tests.model.small_backbone import build, settings

VIT = {"depth": 1, "embed_dim": 48, "num_heads": 3}


def error_of(name: str, size: tuple[int, int], weights: str = "none", **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        Backbone(settings(name, weights=weights, options=options), size)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "size", "options", "nearest"),
    [
        ("deit_tiny_patch16_224", (8, 8), VIT, "16 x 16"),
        ("convit_tiny", (96, 64), {"depth": 1, "local_up_to_layer": 1}, "96 x 96"),  # squares alone
        ("vit_tiny_r_s16_p8_224", (100, 75), VIT, "96 x 64"),  # refused as it is built
        ("swin_tiny_patch4_window7_224", (2, 2), {"embed_dim": 24, "depths": [1], "num_heads": [2]}, "8 x 8"),
    ],
)
def test_a_size_that_would_do_is_named(name: str, size: tuple[int, int], options: dict[str, Any], nearest: str) -> None:
    message = error_of(name, size, **options)
    assert message.startswith(f"data.image_size: {name} cannot take {size[0]} x {size[1]} px")
    assert message.endswith(f"; the nearest size found that it reads whole is {nearest}")
    height, width = map(int, nearest.split(" x "))
    build(name, (height, width), options=options)


def test_an_assertion_without_a_word_is_left_out() -> None:
    assert "48 x 48 px; the nearest" in error_of("vit_tiny_r_s16_p8_224", (48, 48), **VIT)


def test_what_a_size_prevents_is_not_blamed_on_the_weights() -> None:
    assert error_of("vit_tiny_r_s16_p8_224", (48, 48), weights="hub", **VIT).startswith("data.image_size: ")


def test_options_with_which_no_size_is_taken_are_blamed_on_no_size() -> None:
    message = error_of("vit_tiny_r_s16_p8_224", (64, 64), **{**VIT, "num_heads": 5})
    assert message.startswith("model.backbone: vit_tiny_r_s16_p8_224 cannot be built: ")
