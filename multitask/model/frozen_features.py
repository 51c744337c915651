"""Features of a frozen backbone, computed once, where no augmentation changes the images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multitask.data.images import Preprocessing
from multitask.data.loading import Batch
from multitask.errors import UserError
from multitask.model.encoder import Encoder
from multitask.model.settings import BackboneSettings
from multitask.utils.shared_arrays import kept

_VERSION = 1
"""Of how features are computed and kept; with another, those that were kept are not used any more."""


class Features:
    """The pooled features of N images, served in the images' place.

    Args:
        values: (N, F) float32 or float16; or int16, the bits of bfloat16, which NumPy does not have.
    """

    def __init__(self, values: NDArray[np.float32 | np.float16 | np.int16]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.float32 | np.float16 | np.int16]:
        """(B, F), the features of the images at B indices; a copy."""
        return self._values[indices]

    def normalise(self, images: Tensor) -> Tensor:
        """(B, F) features of a batch in the type that the backbone computed them in."""
        return images.view(torch.bfloat16) if images.dtype == torch.int16 else images


def compute_features(
    backbone: Encoder,
    batches: Callable[[], Iterable[Batch]],
    num_images: int,
    preprocessing: Preprocessing,
    autocast: torch.autocast,
    path: Path,
    on_done: Callable[[int], None],
) -> Features:
    """The features of images, computed if they are not in the cache.

    Args:
        backbone: frozen whole, on its device.
        batches: gives the images in order, of the size that they are trained in: how a matrix product is rounded
            may depend on the number of its rows.
        num_images: N.
        preprocessing: the run's.
        autocast: the precision that the network computes in.
        path: the file of the cache, named by ``features_key``.
        on_done: called with the number of images done so far.

    Raises:
        UserError: an image cannot be read; a feature is NaN or infinite.
    """
    assert backbone.frozen

    def make() -> Iterator[NDArray[np.float32 | np.float16 | np.int16]]:
        device = next(backbone.parameters()).device
        done = 0
        backbone.eval()
        for batch in batches():
            with torch.inference_mode(), autocast:
                features = backbone(preprocessing.normalise(batch.images.to(device, non_blocking=True)))
            if not bool(features.isfinite().all()):
                raise UserError(
                    f"model.backbone: frozen, it answers NaN or infinities in {str(features.dtype)[6:]}; set other "
                    "model.backbone.weights, or training.precision: float32"
                )
            yield (features.view(torch.int16) if features.dtype == torch.bfloat16 else features).cpu().numpy()
            done += len(batch)
            on_done(done)

    return Features(kept(path, num_images, make))


def features_key(
    pixels: str,
    settings: BackboneSettings,
    state: str,
    processor: str,
    dtype: torch.dtype,
    batch_size: int,
) -> str:
    """A cache key of features: equal for the same features to the bit, and for no others.

    Args:
        pixels: the key of the pixels.
        settings: the backbone's, of which the weights' path and how many stages are frozen make no difference.
        state: the digest of its weights.
        processor: the device and the number of threads, since others may round differently.
        dtype: in which it computes.
        batch_size: the number of images in a forward pass.
    """
    parts = {
        "version": _VERSION,
        "pixels": pixels,
        "backbone": settings.model_dump(mode="json", exclude={"weights", "freeze", "mean", "std"}),
        "normalisation": settings.normalisation(),
        "state": state,
        "processor": processor,
        "dtype": str(dtype),
        "batch_size": batch_size,
        "versions": [version(name) for name in ("torch", "timm")],
    }
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()
