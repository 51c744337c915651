"""The features of images that the heads of a trained run read."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from multitask.config import Config
from multitask.data.images import Preprocessing
from multitask.errors import UserError
from multitask.model.network import Network
from multitask.runs.config import TrainedRun
from multitask.runs.networks import LoadedNetwork, load_network


class TaskFeatures:
    """From pixels to the pooled features that each task's head reads.

    Args:
        trained: a single run.
        config: whose images are looked at.

    Raises:
        UserError: the run is in folds or an ensemble, is of other labels or another image size, or its checkpoint is
            missing or damaged.
    """

    def __init__(self, trained: TrainedRun, config: Config) -> None:
        folder, own = trained
        if own.space() != config.space():
            raise UserError(f"--run: {folder.path} is of other labels than the config")
        if own.data.image_size != config.data.image_size:
            sizes = (" x ".join(map(str, one.data.image_size)) for one in (own, config))
            raise UserError("--run: {} sees images of {} px, but data.image_size is {}".format(folder.path, *sizes))
        if folder.num_folds is not None:
            raise UserError(f"--run: {folder.path} is in folds; name one of them, as {folder.fold(0).path}")
        self._loaded: LoadedNetwork = load_network(trained)
        if not isinstance(self._loaded.network, Network):
            raise UserError(f"--run: {folder.path} is an ensemble of runs; name one of them")
        self._network = self._loaded.network
        self._preprocessing = Preprocessing(own.data.image_size, None, *own.model.backbone.normalisation())
        self._tasks = own.space().task_names

    def __call__(self, pixels: NDArray[np.uint8]) -> dict[tuple[str, ...], NDArray[np.float64]]:
        """(B, H, W, 3) uint8 to (B, F), by the tasks whose heads read these features."""
        with self._loaded.computing():
            images = torch.from_numpy(pixels).to(self._loaded.device)
            encoded = self._network.forward_features(self._preprocessing.normalise(images))
        trunks: dict[int, list[str]] = {}
        for task in self._tasks:
            trunks.setdefault(id(encoded.of(task)), []).append(task)
        return {
            tuple(tasks): encoded.of(tasks[0]).pooled.float().cpu().numpy().astype(np.float64)
            for tasks in trunks.values()
        }
