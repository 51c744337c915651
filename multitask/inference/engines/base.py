"""Engines: what computes a network's outputs, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from multitask.data.images import Pixels
from multitask.errors import UserError, nearest, quoted
from multitask.evaluation.decode import ModelOutputs
from multitask.evaluation.decode.outputs import finite_log_probs
from multitask.evaluation.metrics import FloatArray
from multitask.inference.spec import InferenceSpec
from multitask.labels import JOINT
from multitask.settings import Settings, Table, validate


class Engine(ABC):
    """Computes a network; any number of threads may ask at once.

    Attributes:
        spec: the network's.
    """

    spec: InferenceSpec

    @property
    def identity(self) -> str:
        """What decides the outputs, on one machine: equal for engines that give the same."""
        return f"{type(self).__qualname__} {self.spec.model_dump_json()}"

    @abstractmethod
    def log_probs(self, images: Pixels) -> dict[str, FloatArray]:
        """The outputs of the network.

        Args:
            images: (B, H, W, 3) uint8, B > 0, of the specification's size.

        Returns:
            Per head (B, C_t) log-probabilities; and (B, C) ``joint`` where there is a joint term.

        Raises:
            DivergedError: an output is NaN.
        """

    def outputs(self, images: Pixels) -> ModelOutputs:
        """The outputs of the network, as decode rules take them; arguments and errors as of ``log_probs``."""
        found = {name: finite_log_probs(values) for name, values in self.log_probs(images).items()}
        heads = {name: found[name] for name in self.spec.learned.task_names}
        return ModelOutputs(self.spec.learned, heads, found[JOINT] if self.spec.joint_term else None)


class EngineSettings(Settings):
    """The settings of an engine, which open a run or an exported file with it."""

    name: str
    extra: ClassVar[str] = ""
    """The optional dependency of this package that brings the engine's library; empty: it is always there."""
    modules: ClassVar[tuple[str, ...]] = ()
    """What must be importable."""

    @abstractmethod
    def open(self, path: Path, device: str | None, allow_extensions: bool) -> Engine:
        """The engine with the network of a run's folder, or of an exported file.

        Args:
            path: of either.
            device: as the config's; None: the run's own.
            allow_extensions: whether code that the run's config names may run.

        Raises:
            UserError: the engine is not installed, cannot compute this network, or the path is damaged.
        """

    def missing(self) -> str | None:
        """Why the engine cannot be used here, and what would install it; None: it can."""
        from importlib.util import find_spec

        absent = [name for name in self.modules if find_spec(name) is None]
        if not absent:
            return None
        return f"engine {self.name}: {absent[0]} is not installed; `pip install 'multitask[{self.extra}]'` brings it"

    def require(self) -> None:
        """Refuses an engine that is not installed.

        Raises:
            UserError: it is not.
        """
        if problem := self.missing():
            raise UserError(problem)


ENGINES: Table[EngineSettings] = Table("engine", EngineSettings, default="torch")
"""The table of engines; its rows stand in the package's ``__init__``."""


def engine_settings(name: str, precision: str | None = None) -> EngineSettings:
    """The settings of an engine.

    Args:
        name: of its row.
        precision: as the row's key; None: its default.

    Raises:
        UserError: there is no such row, or it has no such precision.
    """
    if name not in ENGINES:
        raise UserError(f"unknown engine {quoted(name)}{nearest(name, ENGINES)}")
    row = ENGINES[name]
    if precision is None:
        return row.model_validate({})
    if "precision" not in row.model_fields:
        raise UserError(f"--precision: engine {name} computes in the run's own, found {precision}")
    try:
        return validate(row, {"precision": precision})
    except UserError as error:
        raise UserError(f"engine {name}: {error}") from None
