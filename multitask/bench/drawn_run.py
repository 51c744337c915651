"""A run on drawn images with its exported files: what ``multitask bench --predict`` answers images with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from multitask.config import load_config
from multitask.errors import UserError
from multitask.inference.engines import ENGINES, Engine
from multitask.progress import Progress
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.run import run
from multitask.utils.shipped import config_file

JPEG_SIZE = (384, 512)
"""Width and height in pixels of the images on disk."""


@dataclass(frozen=True)
class DrawnRun:
    """A run and its exported files.

    Attributes:
        trained: the run.
        files: precision -> exported file; none where what exporting takes is not installed.
    """

    trained: TrainedRun
    files: Mapping[str, Path]

    @classmethod
    def train(cls, folder: Path, root: Path, changes: Mapping[str, Any], progress: Progress) -> DrawnRun:
        """Trains and exports.

        Args:
            folder: to be made, for all that is written.
            root: of a drawn set.
            changes: of the demo's config, as ``{"training.epochs": 1}``.
            progress: notified of every step of the work.
        """
        folder.mkdir()
        config = load_config(config_file("demo"), [f"data.root={root}"]).with_changes({"device": "cpu", **changes})
        run(config, folder / "run", progress=progress)
        trained = read_run(folder / "run")
        return cls(trained, _export(trained, folder, progress))

    def open(self, engine: str, precision: str = "fp32", num_threads: int = 1) -> Engine:
        """An engine with the network.

        Args:
            engine: a row of ``ENGINES``.
            precision: that it computes in; PyTorch knows one only.
            num_threads: likewise, which PyTorch is told otherwise.

        Raises:
            UserError: it is not installed, or cannot compute it here.
        """
        if engine == "torch":
            return ENGINES[engine].model_validate({}).open(self.trained.folder.path, "cpu", False)
        settings = ENGINES[engine].model_validate({"precision": precision, "num_threads": num_threads})
        settings.require()
        return settings.open(self.files["fp32" if precision == "bf16" else precision], "cpu", False)


def enlarge(folder: Path) -> list[Path]:
    """Makes every image of a folder a JPEG of ``JPEG_SIZE``, whatever its suffix, and gives their paths, sorted."""
    paths = sorted(folder.iterdir())
    for path in paths:
        with Image.open(path) as image:
            large = image.convert("RGB").resize(JPEG_SIZE, Image.Resampling.BICUBIC)
        large.save(path, "JPEG", quality=90)
    return paths


def _export(trained: TrainedRun, folder: Path, progress: Progress) -> dict[str, Path]:
    from multitask.inference.export.export import ExportSource, require_exporter

    try:
        require_exporter()
    except UserError as error:
        progress.note(str(error))
        return {}
    source = ExportSource.of(trained)
    return {name: source.write(folder / f"{name}.onnx", name).exported.path for name in ("fp32", "int8")}
