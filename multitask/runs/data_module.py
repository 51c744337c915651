"""The data of a run: samples, their split, and their images or the features that stand for them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from multitask.config import Config
from multitask.data.augment import Augmentation
from multitask.data.data_facts import DataFacts
from multitask.data.dataset import Dataset
from multitask.data.fingerprint import describe
from multitask.data.image_facts import ImageFacts
from multitask.data.image_store import ImageStore
from multitask.data.images import Normaliser
from multitask.data.loading import Batches, in_batches, num_workers
from multitask.data.same_files import same_files_note
from multitask.data.samplers import EpochDraws
from multitask.data.samples import Samples
from multitask.data.targets import Targets, check_learnable
from multitask.model.backbone import Backbone
from multitask.model.encoder import Encoder
from multitask.model.feature_rows import FeatureRows
from multitask.model.frozen_features import Features
from multitask.model.partly_frozen import TrainedStages, split
from multitask.progress import Progress
from multitask.runs.frozen_features import FeatureMaker, can_stand_in, computing_batch_size
from multitask.training.device import resolve_precision
from multitask.utils.ranks import Ranks, ranks
from multitask.utils.seeds import derive


class DataModule:
    """The samples of a config and, once they are read, their images.

    Args:
        config: the run's.
        reuse: the folder in which pixels and features are kept for other runs; None: nothing is kept.
        trains: a network learns from the images, so that some have labels for each loss; an ensemble's are learned.

    Attributes:
        dataset: samples and split.
        preprocessing: how the network sees an image.
        store: the images.
        space: the label space.
        learned: that of the heads.
        trained_stages: what follows the features that batches hold in the images' place, where it is not the heads.

    Raises:
        UserError: the source or the split finds something wrong.
    """

    def __init__(self, config: Config, reuse: Path | None = None, *, trains: bool = True) -> None:
        self.space, self.learned = config.space(), config.learned_space()
        self._data, self._augment, self._model = config.data, config.augment, config.model.backbone
        self._nets = [head.net for head in config.heads.values()]
        self._joint = config.joint is not None
        self._batch_sources = config.data.source_names if config.model.batch_norm == "per_source" else ()
        self._seed, self._precision = config.seed, config.training.precision
        self._consistency, self._loss_weights = config.training.consistency, config.loss_weights()
        self._reuse = reuse
        self.batch_size = config.training.batch_size
        self.dataset = Dataset.read(config.data, self.space, config.seed)
        self.samples, self.split = self.dataset.samples, self.dataset.split
        train = self.dataset.training_samples()
        if trains:
            check_learnable(train, self.targets(train), self.learned, self._loss_weights)
        if config.training.monitors:
            hint = "" if config.training.patience else ", or set training.keep.name to last or mean"
            self.dataset.check_scored(config.training.monitor, "training.monitor", self.split.picks, hint)
        if config.training.keep_rule.name == "lower_bound":
            self.dataset.check_bound(config.training.monitor, self.split.picks)
        self.preprocessing = config.data.preprocessing(self._model.normalisation())
        self.store = ImageStore(config.data, self.samples, self.preprocessing, reuse)
        self._features: Features | None = None
        self.trained_stages: TrainedStages | None = None

    def targets(self, samples: Samples) -> Targets:
        """The targets of samples: a column of labels for each loss."""
        return Targets.of(samples, self.learned, self._joint, self._data.loss_weights())

    def augmentation(self) -> Augmentation:
        """The augmentation of images in training."""
        return Augmentation(self._augment, self._data.augmented(self._augment))

    @property
    def num_served(self) -> int:
        """The images that an epoch of training serves: as many as train, or fewer where the sampler takes a few.

        Raises:
            UserError: the sampler does not fit the images.
        """
        return len(EpochDraws(self.dataset.training_samples(), self._data.sampler))

    @property
    def consistent_tasks(self) -> tuple[str, ...]:
        """The tasks of which a consistency loss brings a group's answers together; none where there is no such loss."""
        if self._consistency is None:
            return ()
        return tuple(task for task in self.dataset.per_group if self._loss_weights[task])

    @property
    def served_rows(self) -> FeatureRows | None:
        """The rows of features that batches hold rather than images; None: they hold images."""
        return None if self._features is None else self._features.rows

    @property
    def normaliser(self) -> Normaliser:
        """The last step of preprocessing, from what batches hold (pixels or features) to the network's input."""
        return self.preprocessing if self._features is None else self._features

    def image_facts(self, split: str, progress: Progress) -> ImageFacts:
        """The facts on how the images of a split are cropped and fitted, as of ``ImageStore.facts``.

        Raises:
            UserError: an image cannot be read.
        """
        return self.store.facts(self.dataset.indices(split), progress)

    def facts(self) -> DataFacts:
        """The digest and the counts of the data, as of ``fingerprint.describe``.

        Raises:
            UserError: an image's file cannot be read.
        """
        return describe(self.dataset, self.store.contents)

    def same_files_note(self, sides: NDArray[np.object_]) -> str | None:
        """A sentence on files that are on several (N,) sides, as of ``same_files.same_files_note``."""
        return same_files_note(self.store.contents, sides, self.samples.images)

    def use_features(self, backbone: Encoder, progress: Progress) -> None:
        """Puts features in the images' place, if they can be kept for other runs and nothing can change them.

        Args:
            backbone: the run's, on its device.
            progress: notified of every step of the work.

        Raises:
            UserError: an image cannot be read; the config asks for features that cannot stand for the images, or of
                stages behind which the model cannot be taken up.
        """
        folder = self._reuse if self._model.features is None else self._data.cache_folder
        own = self._data.augmented(self._augment)
        if not can_stand_in(backbone, self._model, self._augment) or folder is None:
            return
        if self._model.features is None and any(augment.changes_images for augment in own.values()):
            return
        nets = self._nets
        if not backbone.frozen:
            assert isinstance(backbone, Backbone)
            backbone, self.trained_stages = split(backbone, self.preprocessing.size)
            nets = []  # the map that they read is made of what is kept
        device = next(backbone.parameters()).device
        dtype = resolve_precision(self._precision, device)
        size = computing_batch_size(self._model, self.batch_size, device)
        maker = FeatureMaker(backbone, self._model, self.store, nets, size, dtype, folder, progress)
        named = self._model.features.seed if self._model.features else None
        seed = derive(self._seed if named is None else named, "views")
        targets, indices = self.targets(self.samples), self.dataset.indices("all")

        images = cache(lambda here: self.store.own_images(in_batches(indices, size), here, progress))
        pin = device.type == "cuda"

        def view(number: int, here: Ranks) -> Batches:
            augmentation = self.augmentation() if number else None
            return Batches(
                self.samples, targets, images(here), indices, size,
                augmentation=augmentation, seed=seed, pin=pin, ranks=here,
            )  # fmt: skip

        key = {"augment": self._augment.model_dump(mode="json"), "seed": seed}
        sources = {name: augment.model_dump(mode="json") for name, augment in own.items()}
        self._features = maker.make(view, key | ({"sources": sources} if sources else {}))

    def batches(
        self,
        split: str,
        progress: Progress,
        device: torch.device,
        *,
        train: bool = False,
        indices: NDArray[np.int64] | None = None,
    ) -> Batches:
        """The batches of a split, or of the samples at ``indices``, each of which is served once.

        To train they are shuffled and augmented, else they are as they are and in order.
        """
        features, here = self._features, ranks()
        return Batches(
            self.samples,
            self.targets(self.samples),
            self.store.images(progress, here if here.size > 1 else None) if features is None else features,
            self.dataset.indices(split) if indices is None else indices,
            self.batch_size,
            augmentation=self.augmentation() if train and features is None else None,
            draw=features.draw if train and features is not None and features.num_views > 1 else None,
            shuffle=train,
            sampler=self._data.sampler if indices is None else None,  # which a few images may not fit
            seed=derive(self._seed, "batches"),
            workers=num_workers(self._data.workers, device) if train and features is None else 0,
            pin=device.type == "cuda",
            group_tasks=self.consistent_tasks if train else (),
            source_names=self._batch_sources if train else (),
            ranks=here,
        )
