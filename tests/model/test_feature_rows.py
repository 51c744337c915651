"""Rows of features: packed and unpacked they are what the backbone gave, in its types and where it lay in memory."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from multitask.model.encoder import Encoded, Encoder, ParameterGroup, Widths
from multitask.model.feature_rows import FeatureRows


class Maps(Encoder):
    """Features of random numbers, whose map lies in memory channels first or last."""

    def __init__(self, channels_first: bool, dtypes: tuple[torch.dtype, torch.dtype]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.widths = Widths(5, 3)
        self.first, self.dtypes = channels_first, dtypes

    def forward_features(self, images: Tensor) -> Encoded:
        shape = (len(images), 3, 4) if self.first else (len(images), 4, 3)
        places = torch.randn(shape, dtype=self.dtypes[1])
        return Encoded(
            torch.randn(len(images), 5, dtype=self.dtypes[0]), places.transpose(1, 2) if self.first else places
        )

    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> Iterable[ParameterGroup]:
        return []

    def state_digest(self) -> str:
        return ""


NO_CAST = torch.autocast("cpu", enabled=False)
SINGLE, BRAIN = torch.float32, torch.bfloat16


@pytest.mark.parametrize("dtypes", [(SINGLE, SINGLE), (BRAIN, BRAIN), (BRAIN, SINGLE), (SINGLE, BRAIN)])
@pytest.mark.parametrize("first", [False, True])
def test_unpacked_is_what_was_packed(first: bool, dtypes: tuple[torch.dtype, torch.dtype]) -> None:
    backbone = Maps(first, dtypes)
    rows = FeatureRows.of(backbone, (8, 8), NO_CAST, with_map=True, half=False)
    assert rows == FeatureRows(5, (4, 3), first, dtypes)
    assert rows.width == 17
    given = backbone.forward_features(torch.zeros(6, 3, 8, 8))
    packed = rows.pack(given)
    assert packed.shape == (6, 17)
    packed.numpy()  # a type that NumPy has
    found = rows.unpack(rows.numbers(packed))
    assert found.map is not None
    assert given.map is not None
    for one, other in ((found.pooled, given.pooled), (found.map, given.map)):
        assert one.dtype == other.dtype
        assert one.stride() == other.stride()
        assert torch.equal(one, other)


def test_without_a_map_nothing_is_computed_to_know_the_rows() -> None:
    backbone = Maps(False, (SINGLE, SINGLE))
    backbone.forward_features = None  # type: ignore[method-assign, assignment]
    rows = FeatureRows.of(backbone, (8, 8), NO_CAST, with_map=False, half=False)
    assert (rows.width, rows.places) == (5, None)
