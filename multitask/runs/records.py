"""The records of a run beside its report: what it began with, its data, and what ``bakeoff`` keeps beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from multitask.utils.records import ONLY_IF_KNOWN, Count, Moment


@dataclass(frozen=True)
class Commit:
    """The commit of this package's checkout.

    Attributes:
        hash: 40 hex digits.
        changed: whether the checkout differs from it.
    """

    hash: str
    changed: bool


@dataclass(frozen=True)
class Machine:
    """Where a run ran.

    Attributes:
        system: name and release of the operating system.
        processor: its name.
        num_cores: that this process may use.
        num_threads: torch's.
        gpus: a name for each.
    """

    system: str
    processor: str
    num_cores: Count
    num_threads: Count
    gpus: tuple[str, ...]

    def in_words(self) -> str:
        """Processor, cores and GPUs."""
        return f"{self.processor}, {self.num_cores} cores{''.join(', ' + gpu for gpu in self.gpus)}"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """``environment.json``: what a run depends on beside its config. None: a file from before it was recorded.

    Attributes:
        created: when the run began.
        command: the command line, in parts.
        versions: of this package, Python and the libraries that count.
        commit: None outside a checkout.
        machine: where it ran.
        seed: the config's.
        device: torch's name of it.
        num_folds: of a run in folds; left out of others.
    """

    created: Moment | None = None
    command: tuple[str, ...] | None = None
    versions: dict[str, str] | None = None
    commit: Commit | None = None
    machine: Machine | None = None
    seed: int | None = None
    device: str | None = None
    num_folds: Annotated[int, Field(ge=2, le=1000)] | None = field(default=None, metadata=ONLY_IF_KNOWN)


@dataclass(frozen=True, kw_only=True)
class RunEnvironment(Environment):
    """``environment.json`` of a run that has a network of its own, which in folds each fold's run has.

    Attributes:
        num_parameters: of the network.
        frozen_backbone: a digest of the backbone's weights, where all of it is frozen or features of what is are kept.
    """

    num_parameters: Count | None = None
    frozen_backbone: str | None = None


@dataclass(frozen=True)
class Failure:
    """``failed.json``: why a run ended before it was done."""

    reason: str
