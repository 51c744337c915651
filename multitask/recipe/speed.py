"""The seconds that a training image takes on this machine, before anything is trained for keeps."""

from __future__ import annotations

import time
from pathlib import Path

from multitask.config import Config
from multitask.progress import Progress
from multitask.runs.build import build_network, build_trainer
from multitask.runs.data_module import DataModule
from multitask.training.device import resolve_device

_BATCHES = 6
"""Of training that are measured, after one that is not."""
ANSWERED = 1 / 3
"""What answering an image costs, in training images: a forward pass without a backward one."""


def seconds_per_image(config: Config, reuse: Path, progress: Progress) -> float:
    """The seconds that a training image takes in an epoch, validation not counted.

    Args:
        config: the run's.
        reuse: where its decoded images and features are kept, for the runs that follow.
        progress: notified of what takes long.

    Raises:
        UserError: network, losses or data are not as they must be.
    """
    data, device = DataModule(config, reuse), resolve_device(config.device)
    network = build_network(config, device)
    data.use_features(network.backbone, progress)
    train = data.split.train
    served = data.batches("train", progress, device, train=True, indices=train[: _BATCHES * data.batch_size])
    trainer = build_trainer(config, data, network, served.num_batches)
    first = data.batches("train", progress, device, train=True, indices=train[: data.batch_size])
    trainer.train_epoch(1, first, Progress())
    began = time.perf_counter()
    trainer.train_epoch(2, served, Progress())
    return (time.perf_counter() - began) / served.num_images
