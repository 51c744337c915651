"""Checks of a checkpoint against the training that is to resume from it, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from multitask.errors import UserError, kind_of
from multitask.progress import EpochRecord, kept_epoch
from multitask.training.checkpoint import load_checkpoint
from multitask.training.settings import TrainingSettings
from multitask.training.sharded_tensors import dealt, local
from multitask.training.weight_mean import WeightMean
from multitask.utils.ranks import ranks
from multitask.utils.records import from_data, to_data, value_at


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Everything that changes and that the next epoch depends on; random numbers depend on its number alone.

    Attributes:
        network: what is trained.
        average: that of its weights; None: there is none.
        balancer: the balancer.
        optimizer: the optimiser of network and balancer.
        scaler: that of the loss.
        fixed: the names of the network's weights and buffers that cannot change, which no state holds.
        mean: that of the last epochs' weights; None: there is none.
    """

    network: nn.Module
    average: nn.Module | None
    balancer: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    fixed: Collection[str]
    mean: WeightMean | None = None

    def dump(self, history: Sequence[EpochRecord]) -> dict[str, Any]:
        """The state after the epochs of ``history``, as it goes into a checkpoint."""
        return {
            "network": self._changing(self.network),
            "ema": None if self.average is None else self._changing(self.average),
            "balancer": dict(self.balancer.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": to_data(history),
            **({} if self.mean is None else {"mean": self.mean.state()}),
        }

    def load(self, path: Path, settings: TrainingSettings, state: Mapping[str, Any] | None = None) -> list[EpochRecord]:
        """Takes up the state in a checkpoint; returns its history.

        Args:
            path: the checkpoint's.
            settings: the ``training`` section.
            state: its content, of a checkpoint in the middle of an epoch, which may be the first; None: it is read.

        Raises:
            UserError: it is damaged, or belongs to another training.
        """
        within = state is not None
        if state is None:
            state = ranks().from_main(lambda: load_checkpoint(path))
        try:
            self._restore(self.network, state["network"])
            if self.average is not None:
                self._restore(self.average, state["ema"])
            if self.mean is not None:
                for epoch in state["mean"]:
                    check_state(self._changing(self.network), epoch)
                if state["mean"] or not within:
                    self.mean.load(state["mean"])
            check_state(dict(self.balancer.state_dict()), state["balancer"])
            self.balancer.load_state_dict(state["balancer"])
            options = [dict(group) for group in self.optimizer.param_groups]
            self.optimizer.load_state_dict(self._dealt(state["optimizer"]))
            check_optimizer(self.optimizer, options, settings.optimizer.state_keys)
            check_state(self.scaler.state_dict(), state["scaler"])
            self.scaler.load_state_dict(state["scaler"])
            history = [] if within and not state["history"] else check_history(state["history"], settings)
        except Exception as error:  # whatever torch makes of a state that is another one's
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise UserError(f"{path}: does not belong to this config: {reason}") from None
        for parameter, kept in self.optimizer.state.items():
            for name, value in kept.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    # In the parameter's memory layout, as the optimiser itself made it: same kernels, same bits.
                    kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        return history

    def _changing(self, network: nn.Module) -> dict[str, Tensor]:
        return {name: value for name, value in network.state_dict().items() if name not in self.fixed}

    def _restore(self, network: nn.Module, found: Mapping[str, Tensor]) -> None:
        changing = {name: value for name, value in found.items() if name not in self.fixed}
        check_state(self._changing(network), changing)
        own = {name: value for name, value in network.state_dict().items() if name in self.fixed}
        put_state(network, {**own, **changing})

    def _dealt(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The optimiser's state in a checkpoint, dealt as its weights are."""
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        state = {
            number: {name: dealt(value, weights[number]) for name, value in kept.items()}
            for number, kept in found["state"].items()
        }
        return {**found, "state": state}


def put_state(network: nn.Module, found: Mapping[str, Tensor]) -> None:
    """Puts whole tensors into a network, which may be sharded."""
    own = network.state_dict()
    network.load_state_dict({name: dealt(value, own[name]) for name, value in found.items()})


def check_state(own: Mapping[str, Any], found: Any) -> None:
    """Refuses the state of another module.

    Args:
        own: that of the module which is to take ``found``.
        found: by name.

    Raises:
        ValueError: a name, a shape or a kind differs, or a number is none.
    """
    if not isinstance(found, Mapping):
        raise ValueError(f"its state is no mapping, found {kind_of(found)}")
    missing, foreign = [name for name in own if name not in found], [name for name in found if name not in own]
    if missing or foreign:
        raise ValueError(f"it lacks {missing[0]!r}" if missing else f"it holds {foreign[0]!r}, which is not known")
    for name, value in own.items():
        other = found[name]
        if not isinstance(value, Tensor):
            continue
        if not isinstance(other, Tensor) or other.shape != value.shape or other.dtype != value.dtype:
            raise ValueError(f"{name} must be {_kind(value)}, found {_kind(other)}")
        if bool(local(value).isfinite().all()) and not bool(other.isfinite().all()):
            raise ValueError(f"{name} holds what is no number")


def _kind(value: Any) -> str:
    if not isinstance(value, Tensor):
        return kind_of(value)
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def check_optimizer(
    optimizer: torch.optim.Optimizer, options: Sequence[Mapping[str, Any]], keys: frozenset[frozenset[str]]
) -> None:
    """Checks an optimiser that has taken up a state.

    Args:
        optimizer: with the state.
        options: of its groups, before.
        keys: the sets of names, any one of which a parameter's state has after a step.

    Raises:
        ValueError: an option or a parameter's state is not what this optimiser has.
    """
    for before, now in zip(options, optimizer.param_groups, strict=True):
        for name in before.keys() - {"params", "lr", "initial_lr", "lr_scale"}:
            if name not in now or _plain(now[name]) != _plain(before[name]):
                raise ValueError(f"the optimiser's {name} must be {before[name]!r}, found {now.get(name)!r}")
            now[name] = before[name]  # a tuple, where the file has a list
    for parameter, state in optimizer.state.items():
        if not isinstance(state, dict) or (keys and frozenset(state) not in keys):
            raise ValueError(f"the optimiser's state has {sorted(state)}")
        for name, value in state.items():
            if not isinstance(value, Tensor) or value.ndim != parameter.ndim or not value.ndim:
                continue
            if value.shape != parameter.shape or not value.is_floating_point():
                raise ValueError(f"the optimiser's {name} must be {_kind(parameter)}, found {_kind(value)}")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def check_history(history: Any, settings: TrainingSettings) -> list[EpochRecord]:
    """The records in a checkpoint's rows of the finished epochs.

    Raises:
        ValueError: they are not those of so many epochs, one after the other.
    """
    if not isinstance(history, list) or not all(isinstance(row, dict) for row in history):
        raise ValueError("its history is no list of epochs")
    if [row.get("epoch") for row in history] != list(range(1, len(history) + 1)) or not history:
        raise ValueError(f"its history is of the epochs {[row.get('epoch') for row in history][:5]}")
    if len(history) > settings.epochs:
        raise ValueError(f"it has {len(history)} finished epochs, but training.epochs is {settings.epochs}")
    records = [from_data(row, EpochRecord) for row in history]
    for record in records:
        if record.train is None or record.seconds is None or not math.isfinite(record.seconds):
            raise ValueError(f"epoch {record.epoch} of its history is damaged")
        if record.val is not None and value_at(record.val, settings.monitor) is None:
            raise ValueError(f"epoch {record.epoch} of its history lacks {settings.monitor}")
    if kept_epoch(records) is None:
        raise ValueError("no epoch of its history is the best")
    return records
