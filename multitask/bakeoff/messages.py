"""The messages between a bake-off and the workers that an executor starts for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunJob:
    """A run to be trained, or resumed.

    Attributes:
        config: as plain data, paths absolute.
        out: the run folder.
        reuse: the folder that the runs share.
        keep_checkpoints: whether weights stay once the run is done.
    """

    config: Mapping[str, object]
    out: Path
    reuse: Path
    keep_checkpoints: bool


@dataclass(frozen=True)
class Ended:
    """A run has ended; ``error`` is the line that says why it failed, if it did."""

    error: str | None = None
