"""The features of an image as one row of numbers, in which they can be kept on disk and served in a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from multitask.model.encoder import Encoded, Encoder


@dataclass(frozen=True)
class FeatureRows:
    """What a row holds: the pooled features, and behind them the map where a head reads it.

    Attributes:
        pooled: F.
        places: N and D of the map; None: there is no map in a row.
        channels_first: whether the map lies in memory as (D, N). It is served as it came, since heads may round
            otherwise where it lies otherwise.
        dtypes: in which the backbone gave the pooled features and the map; empty without a map.
        half: whether float32 is kept in float16.
    """

    pooled: int
    places: tuple[int, int] | None = None
    channels_first: bool = False
    dtypes: tuple[torch.dtype, ...] = ()
    half: bool = False

    @classmethod
    def of(
        cls, backbone: Encoder, image_size: tuple[int, int], autocast: torch.autocast, *, with_map: bool, half: bool
    ) -> FeatureRows:
        """The rows of a backbone's features.

        Args:
            backbone: on its device, with one trunk. Where a row has a map, it is asked for that of two blank images.
            image_size: height and width in pixels.
            autocast: the precision that it computes in.
            with_map: whether a head reads the map.
            half: as the attribute.
        """
        if not with_map:
            return cls(backbone.widths.pooled, half=half)
        device = next(backbone.parameters()).device
        backbone.eval()
        with torch.inference_mode(), autocast:
            blank = torch.zeros(2, *image_size, 3, device=device).permute(0, 3, 1, 2)  # as batches lie in memory
            encoded = backbone.forward_features(blank)
        assert encoded.map is not None, "a head that reads the map was built without one"
        _, num_places, width = encoded.map.shape
        first = encoded.map.stride(2) != 1 and encoded.map.stride(1) == 1
        return cls(encoded.pooled.shape[1], (num_places, width), first, (encoded.pooled.dtype, encoded.map.dtype), half)

    @property
    def width(self) -> int:
        """The numbers in a row: F, or F + N D."""
        return self.pooled + math.prod(self.places or (0,))

    def pack(self, encoded: Encoded) -> Tensor:
        """(B, width) numbers as they are kept; bfloat16, which NumPy does not have, as the int16 of its bits.

        A number beyond float16 becomes infinite where that is what is kept.
        """
        rows = encoded.pooled
        if self.places is not None:
            assert encoded.map is not None
            places = encoded.map.transpose(1, 2) if self.channels_first else encoded.map
            rows = torch.cat([rows, places.flatten(1)], dim=1)  # to the wider of their types, which loses nothing
        if self.half and rows.dtype == torch.float32:
            rows = rows.half()
        return (rows.view(torch.int16) if rows.dtype == torch.bfloat16 else rows).contiguous()

    def numbers(self, rows: Tensor) -> Tensor:
        """(B, width) of a batch of kept rows, as numbers to compute with."""
        if rows.dtype == torch.int16:
            return rows.view(torch.bfloat16)
        return rows.float() if self.half else rows

    def unpack(self, rows: Tensor) -> Encoded:
        """The features in rows of numbers."""
        if self.places is None:
            return Encoded(rows)
        num_places, width = self.places
        pooled, flat = rows[:, : self.pooled], rows[:, self.pooled :]
        shape = (width, num_places) if self.channels_first else (num_places, width)
        places = flat.to(self.dtypes[1]).contiguous().unflatten(1, shape)
        return Encoded(
            pooled.to(self.dtypes[0]).contiguous(), places.transpose(1, 2) if self.channels_first else places
        )
