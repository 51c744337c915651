"""TensorBoard: event files in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from multitask.settings.yaml_text import dump_yaml
from multitask.tracking.settings import TrackerSettings
from multitask.tracking.tracker import TrackedRun, Tracker


class TensorBoardTracker(Tracker):
    """Writes scalars, and the config as a text; ``tensorboard --logdir runs`` shows all runs in a folder."""

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._num_epochs = run.num_epochs
        # What a killed run wrote of an epoch that it did not finish is passed over.
        self._writer = SummaryWriter(run.folder / "tensorboard", purge_step=run.num_epochs + 1)
        if not run.num_epochs:
            self._writer.add_text("config", f"```yaml\n{dump_yaml(dict(run.settings))}```", 0)

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Adds scalars."""
        self._num_epochs = epoch
        self._add(values)

    def report(self, values: Mapping[str, float], files: Sequence[Path]) -> None:
        """Adds scalars at the last epoch."""
        self._add(values)

    def close(self, *, failed: bool) -> None:
        """Closes the file."""
        self._writer.close()

    def _add(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, self._num_epochs)
        self._writer.flush()


class TensorBoardSettings(TrackerSettings):
    """Event files in the folder ``tensorboard`` of the run's."""

    name: Literal["tensorboard"] = "tensorboard"
    extra: ClassVar[str] = "tensorboard"
    modules: ClassVar[tuple[str, ...]] = ("tensorboard",)

    def open(self, run: TrackedRun) -> Tracker:
        """A new event file, beside those of earlier launches."""
        return TensorBoardTracker(run)
