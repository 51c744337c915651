"""What a run works on: samples, their split, and their pictures or the features that stand for them."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from multitask.config import Config
from multitask.data.augment import Augmentation, changes_pictures
from multitask.data.colours import Decoding
from multitask.data.corrections import correct
from multitask.data.empty_cells import EmptyCells, empty_cells
from multitask.data.image_cache import ImageCache
from multitask.data.images import Normaliser, Preprocessing, pixels_key
from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.data.sentinels import sentinel_notes
from multitask.data.splits import Split, fold, hold_out, limit_groups, told, without_classes
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.labels import MISSING
from multitask.model.encoder import Encoder
from multitask.model.frozen_features import Features, compute_features, features_key
from multitask.progress import Progress
from multitask.runs.environment import fingerprint, machine
from multitask.runs.image_store import ImageStore, stage_if_begun
from multitask.training.device import resolve_precision
from multitask.utils.files import content_digest
from multitask.utils.seeds import derive


class DataModule:
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
        self.corrections: dict[str, Any] | None = None
        self.corrected = np.zeros(self.samples.labels.shape, dtype=bool)
        """(N, T), whether a correction changed the label."""
        given, kept = self.samples, np.arange(len(self.samples))
        if config.data.corrections is not None:
            corrected = correct(given, config.data.corrections)
            self.samples, self.corrections = corrected.samples, corrected.record
            kept = corrected.kept
            self.corrected = self.samples.labels != given.labels[kept]
        self.samples = replace(self.samples, notes=(*self.samples.notes, *sentinel_notes(self.samples)))
        self.split: Split = _split(config, self.samples, given, kept)
        self._check_labelled()
        self.preprocessing = preprocessing(config)
        self.gallery = ImageStore(config, self.samples, self.preprocessing, reuse, lambda: self.contents)
        self._features: Features | None = None

    def training_samples(self) -> Samples:
        """The samples that train."""
        return self.samples.take(self.split.train)

    def without_test(self) -> Samples:
        """All samples but those that test."""
        if not len(self.split.test):
            return self.samples
        return self.samples.take(np.setdiff1d(np.arange(len(self.samples)), self.split.test))

    def targets(self, samples: Samples) -> Targets:
        """A column for each loss: of every head and, where there is one, of the joint term."""
        return Targets.of(samples, self.learned, self.config.joint is not None)

    def _check_labelled(self) -> None:
        """Checks that there is something to learn, and to pick the best epoch by."""
        train = self.samples.take(self.split.train)
        if not train.weights.any():
            raise UserError(f"data.source.weight: is 0 for all {len(train)} pictures that train")
        for task, column in zip(self.learned.tasks, self.targets(train).labels.T, strict=False):
            if self.config.heads[task.name].weight and (column == MISSING).all():
                raise UserError(f"heads.{task.name}: none of the {len(train)} pictures that train has a label for it")
        self.check_scored(self.config.training.monitor, "training.monitor")

    def check_scored(self, metric: str, key: str) -> None:
        """Checks that a score of those who validate, if there are any, can be known.

        Args:
            metric: as ``joint.macro_f1``.
            key: the setting that names it.

        Raises:
            UserError: nobody has the label.
        """
        if not len(self.split.val):
            return
        val = self.samples.take(self.split.val)
        labels = {f"tasks.{task}": column for task, column in zip(self.space.task_names, val.labels.T, strict=True)}
        scored = next((place for place in labels if metric.startswith(f"{place}.")), "joint")
        if (labels.get(scored, val.classes) == MISSING).all():
            other = next((place for place, column in labels.items() if (column != MISSING).any()), None)
            raise UserError(
                f"{key}: {metric} is unknown: none of the {len(val)} pictures that validate has "
                + ("all its labels" if scored == "joint" else "that label")
                + (f"; name {other}{metric.removeprefix(scored)}" if other else "")
            )

    def indices(self, split: str) -> NDArray[np.int64]:
        """The samples of ``train``, ``val``, ``test`` or ``all``."""
        if split == "all":
            return np.arange(len(self.samples))
        return {"train": self.split.train, "val": self.split.val, "test": self.split.test}[split]

    @cached_property
    def empty_cells(self) -> EmptyCells:
        """The classes without pictures."""
        return empty_cells(self.samples, self.split)

    @property
    def serves_features(self) -> bool:
        """Whether batches hold features rather than pictures."""
        return self._features is not None

    @property
    def normaliser(self) -> Normaliser:
        """What makes a network's input of what the batches hold."""
        return self.preprocessing if self._features is None else self._features

    def pictures(self, progress: Progress) -> ImageCache:
        """The pictures of all samples, read at the first call.

        Raises:
            UserError: one of them cannot be read.
        """
        return self.gallery.pictures(progress)

    def picture_facts(self, split: str, progress: Progress) -> dict[str, Any]:
        """What the network sees of the pictures of a split, as ``ImageStore.facts``.

        Raises:
            UserError: a picture cannot be read.
        """
        return self.gallery.facts(self.indices(split), progress)

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
            self.targets(self.samples),
            self.pictures(progress) if self._features is None else self._features,
            self.indices(split) if indices is None else indices,
            config.training.batch_size,
            augmentation=Augmentation(config.augment) if train else None,
            shuffle=train,
            sampler=config.data.sampler,
            seed=derive(config.seed, "batches"),
            workers=self._workers(device) if train and self._features is None else 0,
            pin=device.type == "cuda",
        )

    def _workers(self, device: torch.device) -> int:
        """How many processes make the batches to train on."""
        if self.config.data.workers != "auto":
            return self.config.data.workers
        return min(8, len(os.sched_getaffinity(0)) - 1) if device.type == "cuda" else 0

    def _size(self, indices: NDArray[np.int64]) -> dict[str, int]:
        return {"num_images": len(indices), "num_groups": len(set(self.samples.groups[indices]))}

    def fingerprint(self) -> dict[str, Any]:
        """What data this is: a digest of pictures, labels, groups and weights, and how much there is of it."""
        samples = self.samples
        boxes = repeat("") if samples.boxes is None else (f"\t{box.tolist()}" for box in samples.boxes)
        texts = (
            f"{image}\t{group}\t{labels.tolist()}\t{numbers.tolist()}\t{weight}{box}"
            for image, group, labels, numbers, weight, box in zip(
                samples.images, samples.groups, samples.labels, samples.numbers, samples.weights, boxes, strict=False
            )
        )
        return {
            "root": str(samples.root),
            **({} if samples.roots is None else {"roots": {name: str(root) for name, root in samples.roots.items()}}),
            "fingerprint": fingerprint(zip(texts, self.contents, strict=True)),
            "num_images": len(samples),
            "num_groups": samples.num_groups,
            **({"test": self._size(self.split.test)} if len(self.split.test) else {}),
            **({} if self.corrections is None else {"corrections": self.corrections}),
            **({"notes": list(samples.notes)} if samples.notes else {}),
            **({"other_files": dict(samples.other_files)} if samples.other_files else {}),
        }


def _split(config: Config, samples: Samples, given: Samples, kept: NDArray[np.int64]) -> Split:
    """The split of samples: ``given`` before corrections, ``kept`` those of them that no correction drops.

    Groups are dealt as their given labels would have it. So a correction moves nobody, and runs with and without it
    compare person by person.
    """
    seed = derive(config.seed if config.data.split_seed is None else config.data.split_seed, "split")
    split = _dealt(config, given, seed) if given.sides is None else told(given, lambda rest: _dealt(config, rest, seed))
    if len(kept) < len(given):
        split = split.kept(kept)
    if config.data.held_out:
        split = without_classes(samples, split, config.unseen())
    if config.data.train_groups is not None:
        split = limit_groups(replace(samples, labels=given.labels[kept]), split, config.data.train_groups, seed)
    return split


def _dealt(config: Config, samples: Samples, seed: int) -> Split:
    if config.data.folds is not None:
        return fold(samples, config.data.fold, config.data.folds, seed)
    return hold_out(samples, config.data.val_fraction, seed)


def preprocessing(config: Config) -> Preprocessing:
    """How the run's network sees a picture, at training, validation and test."""
    mean, std = config.model.backbone.normalisation()
    data = config.data
    return Preprocessing(data.image_size, data.crop, mean, std, fit=data.fit, decoding=decoding(config))


def decoding(config: Config) -> Decoding:
    """How pictures that are no plain 8-bit ones are read."""
    return Decoding(config.data.background, config.data.value_range)


def _processor(device: torch.device) -> str:
    """What rounds the numbers: a GPU's name, or the processor's and the number of its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{machine()['processor']}, {torch.get_num_threads()} threads"
