"""The messages between a launch and any worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Beat:
    """A heartbeat of the worker."""


@dataclass(frozen=True)
class Ready:
    """The worker waits for a job; ``host`` and ``process`` say where, if that is another's process."""

    host: str = ""
    process: int = 0


@dataclass(frozen=True)
class Warned:
    """Something was lost, and the run goes on; ``text`` is of one line."""

    text: str


@dataclass(frozen=True)
class Lost:
    """The worker is gone, or was ended because it showed no sign of life; why, in a line."""

    reason: str
