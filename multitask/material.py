"""What a run works on: samples, their split, and their pictures or the features that stand for them."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from multitask.config import Config
from multitask.data.augment import Augmentation, changes_pictures
from multitask.data.images import Normaliser, Preprocessing, pixels_key
from multitask.data.loading import Batches, Learned
from multitask.data.pictures import Pictures
from multitask.data.samples import Samples
from multitask.data.splits import Split, fold, hold_out, limit_groups, without_classes
from multitask.files import content_digest
from multitask.gallery import Gallery, stage_if_begun
from multitask.model.encoded import Encoder
from multitask.model.features import Features, compute_features, features_key
from multitask.runs.environment import fingerprint, machine
from multitask.seeds import derive
from multitask.training.device import resolve_precision
from multitask.training.progress import Progress


class Material:
    """The samples of a config and, once they are read, their pictures.

    Args:
        config: the run's.
        reuse: the folder in which pixels and features are kept for other runs; None: nothing is kept.

    Raises:
        UserError: the source or the split finds something wrong.
    """

    def __init__(self, config: Config, reuse: Path | None = None) -> None:
        self.config = config
        self.reuse = reuse
        self.space = config.space()
        self.learned = config.learned_space()
        self.samples: Samples = config.data.source.samples(Path(config.data.root), self.space)
        self.split: Split = _split(config, self.samples)
        self.preprocessing = preprocessing(config)
        self.gallery = Gallery(config, self.samples, self.preprocessing, reuse, lambda: self.contents)
        self._features: Features | None = None

    def training_samples(self) -> Samples:
        """The samples that train."""
        return self.samples.take(self.split.train)

    def what_is_learned(self, samples: Samples) -> Learned:
        """A column for each loss: of every head and, where there is one, of the joint term."""
        return what_is_learned(samples, self.config)

    def indices(self, split: str) -> NDArray[np.int64]:
        """The samples of ``train``, ``val`` or ``all``."""
        return {"train": self.split.train, "val": self.split.val, "all": np.arange(len(self.samples))}[split]

    @property
    def serves_features(self) -> bool:
        """Whether batches hold features rather than pictures."""
        return self._features is not None

    @property
    def normaliser(self) -> Normaliser:
        """What makes a network's input of what the batches hold."""
        return self.preprocessing if self._features is None else self._features

    def pictures(self, progress: Progress) -> Pictures:
        """The pictures of all samples, read at the first call.

        Raises:
            UserError: one of them cannot be read.
        """
        return self.gallery.pictures(progress)

    def crop_counts(self, split: str, progress: Progress) -> dict[str, Any] | None:
        """How many pictures of a split were cropped to a box of their own, and how many to the fallback.

        None where the crop is the same for all.

        Raises:
            UserError: a picture cannot be read.
        """
        return self.gallery.crop_counts(self.indices(split), progress)

    @cached_property
    def contents(self) -> list[bytes]:
        """A digest of each picture's file, as it was when they were first asked for.

        Raises:
            UserError: a file cannot be read.
        """
        return [content_digest(path) for path in self.samples.paths()]

    def use_features(self, backbone: Encoder, progress: Progress) -> None:
        """Puts pooled features in the pictures' place, if they can be reused and nothing can change them.

        Nothing can where the whole backbone is frozen and pictures are neither augmented nor mixed. A head that looks
        at the map needs more than what is kept.

        Args:
            backbone: the run's, on its device.
            progress: hears how it goes.

        Raises:
            UserError: a picture cannot be read.
        """
        config = self.config
        if self.reuse is None or not backbone.frozen or changes_pictures(config.augment):
            return
        if any(head.net.reads_map for head in config.heads.values()):
            return
        device = next(backbone.parameters()).device
        dtype = resolve_precision(config.training.precision, device)
        key = features_key(
            pixels_key(self.contents, self.preprocessing, self.gallery.boxes(progress)),
            config.model.backbone,
            backbone.state_digest(),
            _processor(device),
            dtype,
            config.training.batch_size,
        )
        self._features = compute_features(
            backbone,
            lambda: self.batches("all", progress, device).epoch(0),
            len(self.samples),
            self.preprocessing,
            torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32),
            self.reuse / f"features-{key}.npy",
            stage_if_begun(progress, "computing features", len(self.samples)),
        )

    def batches(
        self,
        split: str,
        progress: Progress,
        device: torch.device,
        *,
        train: bool = False,
        indices: NDArray[np.int64] | None = None,
    ) -> Batches:
        """The batches of a split, or of the samples at ``indices``.

        To train they are shuffled and augmented, else they are as they are and in order.
        """
        config = self.config
        return Batches(
            self.samples,
            self.what_is_learned(self.samples),
            self.pictures(progress) if self._features is None else self._features,
            self.indices(split) if indices is None else indices,
            config.training.batch_size,
            augmentation=Augmentation(config.augment) if train else None,
            shuffle=train,
            seed=derive(config.seed, "batches"),
            workers=self._workers(device) if train and self._features is None else 0,
            pin=device.type == "cuda",
        )

    def _workers(self, device: torch.device) -> int:
        """How many processes make the batches to train on."""
        if self.config.data.workers != "auto":
            return self.config.data.workers
        return min(8, len(os.sched_getaffinity(0)) - 1) if device.type == "cuda" else 0

    def fingerprint(self) -> dict[str, Any]:
        """What data this is: a digest of pictures, labels, groups and weights, and how much there is of it."""
        samples = self.samples
        boxes = [""] * len(samples) if samples.boxes is None else [f"\t{box.tolist()}" for box in samples.boxes]
        texts = (
            f"{image}\t{group}\t{labels.tolist()}\t{numbers.tolist()}\t{weight}{box}"
            for image, group, labels, numbers, weight, box in zip(
                samples.images, samples.groups, samples.labels, samples.numbers, samples.weights, boxes, strict=True
            )
        )
        return {
            "root": str(samples.root),
            "fingerprint": fingerprint(zip(texts, self.contents, strict=True)),
            "num_images": len(samples),
            "num_groups": samples.num_groups,
        }


def what_is_learned(samples: Samples, config: Config) -> Learned:
    """A column for each loss, in the order of ``Config.loss_weights``."""
    classes = samples.classes[:, None]
    unknown = np.full_like(classes, np.nan, dtype=np.float32)
    labels, numbers = samples.labels, samples.numbers.astype(np.float32)
    if config.learned_space() != config.space():  # one head learns the classes whole
        labels, numbers = classes, unknown
    if config.joint is not None:
        labels, numbers = np.hstack([labels, classes]), np.hstack([numbers, unknown])
    return Learned(labels, numbers)


def _split(config: Config, samples: Samples) -> Split:
    seed = derive(config.seed if config.data.split_seed is None else config.data.split_seed, "split")
    if config.data.folds is not None:
        split = fold(samples, config.data.fold, config.data.folds, seed)
    else:
        split = hold_out(samples, config.data.val_fraction, seed)
    if config.data.held_out:
        split = without_classes(samples, split, config.unseen())
    if config.data.train_groups is not None:
        split = limit_groups(samples, split, config.data.train_groups, seed)
    return split


def preprocessing(config: Config) -> Preprocessing:
    """How the run's network sees a picture, at training, validation and test."""
    mean, std = config.model.backbone.normalisation()
    return Preprocessing(config.data.image_size, config.data.crop, mean, std)


def _processor(device: torch.device) -> str:
    """What rounds the numbers: a GPU's name, or the processor's and the number of its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{machine()['processor']}, {torch.get_num_threads()} threads"
