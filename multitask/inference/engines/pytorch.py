"""PyTorch: the run's own networks, as it trained them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from multitask.data.images import Pixels
from multitask.errors import UserError
from multitask.evaluation.metrics import FloatArray
from multitask.inference.engines.base import Engine, EngineSettings

if TYPE_CHECKING:
    from multitask.inference.spec import InferenceSpec
    from multitask.runs.config import TrainedRun


class TorchEngine(Engine):
    """A run's network, or those of its folds as an ensemble, in PyTorch.

    Args:
        trained: the run.
        spec: its specification.

    Raises:
        UserError: a fold is not finished; a checkpoint is missing or damaged.
    """

    def __init__(self, trained: TrainedRun, spec: InferenceSpec) -> None:
        from multitask.runs.networks import load_network

        self.spec = spec
        self._loaded = load_network(trained)
        self._normaliser = spec.preprocessing()
        self._lock = threading.Lock()  # a branched network keeps the trunk's outputs while it computes

    def log_probs(self, images: Pixels) -> dict[str, FloatArray]:
        """As ``Engine.log_probs``."""
        import torch

        from multitask.evaluation.predictions import compute

        with self._lock, self._loaded.computing():
            batch = torch.from_numpy(images).to(self._loaded.device)
            found = compute(self._loaded.network, self._normaliser.normalise(batch))
            return {name: values.cpu().double().log_softmax(dim=1).numpy() for name, values in found.items()}


class TorchSettings(EngineSettings):
    """PyTorch; it opens runs, and no exported file."""

    name: Literal["torch"] = "torch"

    def open(self, path: Path, device: str | None, allow_extensions: bool) -> Engine:
        """The engine with a run's networks."""
        if path.is_file():
            raise UserError(f"{path}: engine torch opens the folder of a run, and no exported file")
        from multitask.runs.config import TrainedRun, read_run  # of which an exported file needs nothing

        trained = read_run(path, allow_extensions=allow_extensions)
        if device is not None:
            trained = TrainedRun(trained.folder, trained.config.with_changes({"device": device}))

        from multitask.inference.run_spec import run_spec  # takes seconds, and what the config lacks was said before

        return TorchEngine(trained, run_spec(trained))
