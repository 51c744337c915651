"""The interface of executors: they start commands somewhere, say how they ended, and end them."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from multitask.errors import UserError
from multitask.settings import PositiveInt, Settings, Table, Workers


class StartedWorker(ABC):
    """A command that an executor was given."""

    @abstractmethod
    def ended(self) -> str | None:
        """How it ended, in a line; None: it waits or runs."""

    def waits(self) -> str | None:
        """Why it has not begun, in a line; None: it has, or nobody knows."""
        return None

    @abstractmethod
    def cancel(self) -> None:
        """Ends it, be it that it still waits; no error where it is gone."""


class Executor(ABC):
    """An engine that is connected."""

    host: str
    """The name or address under which its workers reach this machine."""

    @abstractmethod
    def start(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> StartedWorker:
        """Starts Python with some words, or queues it.

        Args:
            words: after ``python``.
            environment: in addition to the worker's own.
            log: the file that takes what it prints, in a folder that all machines see.

        Raises:
            UserError: the engine refuses it, or is gone.
        """

    def check(self) -> None:  # noqa: B027 (not every engine can be gone)
        """Checks that the engine is there.

        Raises:
            UserError: it is gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends what runs, and lets go of the engine; no error where it is gone, or the second time."""


class ExecutorSettings(Settings):
    """The ``executor`` section: what starts workers."""

    name: str
    package: ClassVar[str | None] = None
    """What must be installed; also the name of the extra."""

    @property
    def several_machines(self) -> bool:
        """Whether workers may run on machines other than this one."""
        return False

    def check(self) -> None:
        """Checks that the executor can be used at all.

        Raises:
            UserError: what it needs is not installed.
        """
        if self.package is not None and importlib.util.find_spec(self.package) is None:
            raise UserError(f'executor: {self.name} needs pip install "multitask[{self.package}]"')

    @abstractmethod
    def open(self, folder: Path) -> Executor | None:
        """The engine, connected.

        Args:
            folder: for the engine's own files, in a folder that all machines see.

        Returns:
            None: workers are processes of the launch itself.

        Raises:
            UserError: it cannot be reached.
        """


class RemoteSettings(ExecutorSettings):
    """What executors have in common whose workers connect back."""

    cpus_per_worker: Workers = 1
    """Cores that a worker is given, and threads that it computes with."""
    host: str | None = None
    """The name or address under which workers reach this machine; None: as the executor knows it."""
    queue_timeout_min: PositiveInt | None = None
    """Minutes without any worker at work, after which the launch stops; None: it waits for as long as it takes."""


EXECUTORS: Table[ExecutorSettings] = Table("executor", ExecutorSettings, default="processes")
"""The table of executors; its rows stand in the package's ``__init__``."""

AnyExecutor = Annotated[ExecutorSettings, EXECUTORS]
