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
from multitask.data.loading import Batches
from multitask.data.pictures import Pictures
from multitask.data.samples import Samples
from multitask.data.splits import Split, fold, hold_out
from multitask.files import content_digest
from multitask.gallery import Gallery, stage_if_begun
from multitask.labels import LabelSpace
from multitask.model.backbone import Backbone
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

    def learned_labels(self, samples: Samples) -> NDArray[np.int64]:
        """(N, H) the labels that each head learns."""
        return learned_labels(samples, self.space, self.learned)

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

    def use_features(self, backbone: Backbone, progress: Progress) -> None:
        """Puts pooled features in the pictures' place, if they can be reused and nothing can change them.

        Nothing can where the whole backbone is frozen and pictures are neither augmented nor mixed.

        Args:
            backbone: the run's, on its device.
            progress: hears how it goes.

        Raises:
            UserError: a picture cannot be read.
        """
        config = self.config
        if self.reuse is None or not backbone.frozen or changes_pictures(config.augment):
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
            self.learned_labels(self.samples),
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


def learned_labels(samples: Samples, space: LabelSpace, learned: LabelSpace) -> NDArray[np.int64]:
    """(N, H) the labels that each head learns: those of the tasks, or the class where one head learns it whole."""
    return samples.labels if learned == space else samples.classes[:, None]


def _split(config: Config, samples: Samples) -> Split:
    seed = derive(config.seed if config.data.split_seed is None else config.data.split_seed, "split")
    if config.data.folds is not None:
        return fold(samples, config.data.fold, config.data.folds, seed)
    return hold_out(samples, config.data.val_fraction, seed)


def preprocessing(config: Config) -> Preprocessing:
    """How the run's network sees a picture, at training, validation and test."""
    mean, std = config.model.backbone.normalisation()
    return Preprocessing(config.data.image_size, config.data.crop, mean, std)


def _processor(device: torch.device) -> str:
    """What rounds the numbers: a GPU's name, or the processor's and the number of its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{machine()['processor']}, {torch.get_num_threads()} threads"
