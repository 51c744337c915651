"""The base of the engines of exported files: opening, threads, and outputs."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multitask.data.images import Pixels
from multitask.errors import DivergedError, UserError
from multitask.evaluation.metrics import FloatArray
from multitask.inference.engines.base import Engine, EngineSettings
from multitask.inference.export.exported import Exported, Precision, head_outputs, read_exported
from multitask.labels import JOINT
from multitask.settings import PositiveInt


class ExportedEngine(Engine):
    """Computes an exported file.

    Args:
        exported: the file.
    """

    def __init__(self, exported: Exported) -> None:
        self.exported = exported
        self.spec = exported.spec
        self._heads = head_outputs(exported.spec)

    @property
    def identity(self) -> str:
        """As ``Engine.identity``, with the file's digest."""
        return f"{super().identity} {self.exported.record.digest}"

    @abstractmethod
    def compute(self, images: Pixels) -> Mapping[str, NDArray[Any]]:
        """(B, H, W, 3) images to the outputs of the file, by name."""

    def check(self) -> None:
        """Refuses a network that does not fit its specification, by the shapes that its file declares.

        By these alone: OpenVINO is not to be asked with anything that does not fit.

        Raises:
            UserError: it does not.
        """
        where = f"{self.exported.path}: its network does not fit its specification"
        sizes = {task.name: task.num_classes for task in self.spec.learned.tasks} | {
            JOINT: self.spec.learned.num_classes
        }
        images, outputs = self.shapes()
        if images[1:] != (*self.spec.image_size, 3):
            raise UserError(f"{where}: its images must be {self.spec.image_size} px, found {images[1:3]}")
        for name, output in self._heads.items():
            if outputs.get(output, ())[1:] != (sizes[name],):
                raise UserError(f"{where}: its output {output} must be of {sizes[name]}, found {outputs.get(output)}")

    @abstractmethod
    def shapes(self) -> tuple[tuple[int, ...], dict[str, tuple[int, ...]]]:
        """The shapes that the file declares, of the images and, by name, of the outputs; -1 where any number may be."""

    def log_probs(self, images: Pixels) -> dict[str, FloatArray]:
        """As ``Engine.log_probs``."""
        found = self.compute(images)
        answers = {}
        for name, output in self._heads.items():
            values = found[output].astype(np.float64)
            if np.isnan(values).any():
                raise DivergedError(f"{name}: the network answers NaN")
            # Normalised anew: float32 rows sum to 1 only to seven digits.
            answers[name] = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
        return answers


class ExportedSettings(EngineSettings):
    """The settings of an engine that computes exported files, on the CPU; a run is exported to the cache first."""

    precision: Precision | None = None
    """Of the export that is made of a run, and what a file must have; None: fp32 of a run, and any of a file."""
    num_threads: PositiveInt | None = None
    """That compute one batch; None: ``OMP_NUM_THREADS`` where it is set, else as many as this process may use cores."""

    def open(self, path: Path, device: str | None, allow_extensions: bool) -> Engine:
        """The engine with an exported file, or with that of a run."""
        if device not in (None, "auto", "cpu"):
            raise UserError(f"device: engine {self.name} computes on the CPU, found {device}")
        self.require()
        if path.is_dir():
            from multitask.inference.export.cache import exported_run

            exported = exported_run(path, self.file_precision or "fp32", allow_extensions)
        else:
            exported = read_exported(path)
        found, wanted = exported.record.precision, self.file_precision
        if wanted is not None and found != wanted:
            raise UserError(f"{path}: holds {found}, not {wanted}; export the run with --precision {wanted}")
        return self.open_exported(exported)

    @property
    def file_precision(self) -> Precision | None:
        """The precision that the file must have."""
        return self.precision

    def open_exported(self, exported: Exported) -> ExportedEngine:
        """The engine with a file, tried on one image.

        Raises:
            UserError: the engine cannot compute it, or it computes something else than its specification says.
        """
        engine = self.build(exported)
        engine.check()
        return engine

    @abstractmethod
    def build(self, exported: Exported) -> ExportedEngine:
        """The engine with a file, not yet tried.

        Raises:
            UserError: the engine cannot open it.
        """

    def threads(self) -> int:
        """How many threads compute one batch."""
        told = os.environ.get("OMP_NUM_THREADS", "")
        cores = len(os.sched_getaffinity(0))
        return self.num_threads or (min(int(told), cores) if told.isdigit() and int(told) else cores)
