"""Weights & Biases: a run of a project, sent as it goes or kept to be sent later."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from multitask.errors import UserError
from multitask.tracking.settings import TrackerSettings
from multitask.tracking.tracker import TrackedRun, Tracker

_TIMEOUT_S = 20
"""To begin a run, and to send what is left at its end."""


class WandbTracker(Tracker):
    """Logs each epoch as a step."""

    def __init__(self, run: TrackedRun, project: str, mode: Literal["online", "offline"]) -> None:
        import wandb

        if mode == "online" and not wandb.login(prompt=False):
            raise UserError("no account is known here; `wandb login`, WANDB_API_KEY, or mode: offline")
        self.key = run.key or secrets.token_hex(4)
        self._run = wandb.init(
            project=project,
            id=self.key,
            name=run.name,
            config=dict(run.settings),
            dir=run.folder,
            mode=mode,
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            settings=wandb.Settings(
                init_timeout=_TIMEOUT_S,
                finish_timeout=_TIMEOUT_S,
                finish_timeout_raises=True,
                silent=True,
                console="off",
                x_disable_stats=True,
            ),
        )

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Logs a step."""
        self._run.log(dict(values), step=epoch)

    def report(self, values: Mapping[str, float], files: Sequence[Path]) -> None:
        """Sets the summary."""
        self._run.summary.update(dict(values))

    def close(self, *, failed: bool) -> None:
        """Ends the run."""
        self._run.finish(exit_code=int(failed))


class WandbSettings(TrackerSettings):
    """A run of a Weights & Biases project."""

    name: Literal["wandb"] = "wandb"
    project: str = "multitask"
    """Its runs stand together."""
    mode: Literal["online", "offline"] = "online"
    """``offline``: kept in the folder ``wandb`` of the run's, until ``wandb sync`` sends it."""
    extra: ClassVar[str] = "wandb"
    modules: ClassVar[tuple[str, ...]] = ("wandb",)

    def open(self, run: TrackedRun) -> Tracker:
        """A new run, or online the one that the run began with."""
        return WandbTracker(run, self.project, self.mode)
