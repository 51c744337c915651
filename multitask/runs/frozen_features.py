"""Features in the images' place, where a frozen backbone makes the same of them in every epoch and every run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from multitask.data.augment import changes_images
from multitask.data.image_store import ImageStore, stage_if_begun
from multitask.data.loading import Batches
from multitask.data.settings import AugmentSettings
from multitask.model.encoder import Encoder
from multitask.model.frozen_features import Features, compute_features, features_key
from multitask.model.heads import NetSettings
from multitask.model.settings import BackboneSettings
from multitask.progress import Progress
from multitask.runs.environment import machine


def can_stand_in(backbone: Encoder, augment: AugmentSettings, nets: Iterable[NetSettings]) -> bool:
    """Whether pooled features say of an image all that is trained on.

    They do where the whole backbone is frozen and images are neither augmented nor mixed. A head that reads the map
    needs more than what is pooled.
    """
    return backbone.frozen and not changes_images(augment) and not any(net.reads_map for net in nets)


def reused_features(
    backbone: Encoder,
    settings: BackboneSettings,
    store: ImageStore,
    batches: Callable[[], Batches],
    batch_size: int,
    dtype: torch.dtype,
    folder: Path,
    progress: Progress,
) -> Features:
    """The features of all images: those that another run left, or computed and left for others.

    Args:
        backbone: frozen whole, on its device.
        settings: the backbone's.
        store: the images.
        batches: makes batches of all of them, in order; called only where nothing was left.
        batch_size: the run's.
        dtype: what the network computes in.
        folder: where features are kept.
        progress: notified of every step of the work.

    Raises:
        UserError: an image cannot be read; what the backbone answers is no number.
    """
    device = next(backbone.parameters()).device
    key = features_key(
        store.pixels_key(progress), settings, backbone.state_digest(), _processor(device), dtype, batch_size
    )
    return compute_features(
        backbone,
        lambda: batches().epoch(0),
        len(store),
        store.preprocessing,
        torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32),
        folder / f"features-{key}.npy",
        stage_if_begun(progress, "computing features", len(store)),
    )


def _processor(device: torch.device) -> str:
    """The processor whose rounding features depend on: a GPU's name, or the CPU's and its number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{machine().processor}, {torch.get_num_threads()} threads"
