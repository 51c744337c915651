"""Features in the images' place, where a frozen backbone makes the same of them in every epoch and every run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from multitask.data.augment_settings import AugmentSettings
from multitask.data.image_store import ImageStore, stage_if_begun
from multitask.data.loading import Batches
from multitask.errors import UserError
from multitask.model.encoder import Encoder
from multitask.model.feature_rows import FeatureRows
from multitask.model.frozen_features import FeatureArray, Features, compute_features, features_key
from multitask.model.heads import NetSettings
from multitask.model.settings import BackboneSettings, FeaturesSettings
from multitask.progress import Progress
from multitask.runs.environment import machine
from multitask.training.device import autocast
from multitask.utils.ranks import Ranks, ranks


def can_stand_in(backbone: Encoder, settings: BackboneSettings, augment: AugmentSettings) -> bool:
    """Whether features that are computed once say of an image all that is trained on.

    They do where the whole backbone is frozen, or its first stages are and the settings ask for it, and images are not
    mixed, and either not augmented or drawn from views that are kept too.

    Raises:
        UserError: the settings ask for them, but stages of several trunks are trained.
    """
    if settings.features is not None and not backbone.frozen and backbone.num_trunks > 1:
        raise UserError(
            f"model.backbone.features: would be ignored, since freeze: {settings.freeze} leaves stages of "
            f"{settings.name} that each task trains for itself (model.sharing); use all, or leave it out"
        )
    if settings.features is not None:
        return True  # the config was checked for all else
    return backbone.frozen and not augment.changes_images


def computing_batch_size(settings: BackboneSettings, training: int, device: torch.device) -> int:
    """The number of images in a forward pass that features are computed in.

    That of training, by which a run on them is that from images to the bit, or to the last digits where a processor
    rounds otherwise in a batch of one image more; where the config asks for features there is no other run, and then
    what is fastest, so that trials of any batch size share them.
    """
    if settings.features is None:
        return training
    return 16 if device.type == "cpu" else 256  # more leave a core's cache: MobileNetV2 is 1.3 times as slow with 64


class FeatureMaker:
    """The features of all images of a run: those that another run left, or computed and left for others.

    Args:
        backbone: frozen whole, or the part of one that is, on its device.
        settings: the backbone's.
        store: the images.
        nets: the heads' settings, which say whether the map is needed.
        batch_size: as of ``computing_batch_size``.
        dtype: what the network computes in.
        folder: where features are kept.
        progress: notified of every step of the work.
    """

    def __init__(
        self,
        backbone: Encoder,
        settings: BackboneSettings,
        store: ImageStore,
        nets: Iterable[NetSettings],
        batch_size: int,
        dtype: torch.dtype,
        folder: Path,
        progress: Progress,
    ) -> None:
        self._backbone, self._settings, self._store = backbone, settings, store
        self._batch_size, self._dtype, self._folder, self._progress = batch_size, dtype, folder, progress
        self._device = next(backbone.parameters()).device
        self._features = settings.features or FeaturesSettings()
        self._autocast = autocast(self._device, dtype)
        self._rows = FeatureRows.of(
            backbone,
            store.preprocessing.size,
            self._autocast,
            with_map=any(net.reads_map for net in nets),
            half=self._features.storage == "half",
        )

    def make(self, batches: Callable[[int, Ranks], Batches], augmented: dict[str, Any]) -> Features:
        """The features of every view.

        Args:
            batches: makes batches of all images, in order, of a view by its number; 0 is of the plain ones. To one of
                several processes they are dealt in turn. Called only where nothing was left.
            augmented: what the other views depend on, as JSON can hold it.

        Raises:
            UserError: an image cannot be read; what the backbone answers is no number; the disk has no room.
        """
        state, pixels = self._backbone.state_digest(), self._store.pixels_key(self._progress, ranks())
        views = []
        for number in range(self._features.views):
            depends = {"number": number, "libraries": _libraries(), **augmented} if number else None
            key = features_key(
                pixels, self._settings, state, _processor(self._device), self._dtype, self._batch_size, self._rows,
                depends,
            )  # fmt: skip
            views.append(self._view(number, key, batches))
        return Features(views, self._rows)

    def _view(self, number: int, key: str, batches: Callable[[int, Ranks], Batches]) -> FeatureArray:
        name = f"computing features of view {number}" if number else "computing features"
        return compute_features(
            self._backbone,
            lambda here: batches(number, here).epoch(number),
            len(self._store),
            self._store.preprocessing,
            self._autocast,
            self._rows,
            self._folder / f"features-{key}.npy",
            stage_if_begun(self._progress, name, len(self._store)),
        )


def _libraries() -> list[str]:
    """The libraries that augment, with their versions."""
    import cv2

    return [f"albumentations {version('albumentations')}", f"opencv {cv2.__version__}"]


def _processor(device: torch.device) -> str:
    """The processor whose rounding features depend on: a GPU's name, or the CPU's and its number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{machine().processor}, {torch.get_num_threads()} threads"
