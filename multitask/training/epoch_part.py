"""Checkpoints in the middle of an epoch: what its batches so far have left beside the training's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multitask.balancers.base import Balancer
from multitask.errors import UserError
from multitask.training.checkpoint import load_checkpoint
from multitask.training.epoch_meter import EpochMeter
from multitask.utils.ranks import ranks

STEP_CHECKPOINT = "step.safetensors"
"""Of the file, beside ``last.safetensors``."""


@dataclass(frozen=True, eq=False)
class EpochPart:
    """The first batches of an epoch.

    Attributes:
        epoch: from 1.
        num_batches: that are done.
        num_images: in them.
        seconds: that they took.
        meter: the state of the epoch's meter.
        balancer: its parameters and buffers, those too that ``begin_epoch`` resets.
        random: the states of torch's generators, the CPU's and that of the device if it is another.
    """

    epoch: int
    num_batches: int
    num_images: int
    seconds: float
    meter: dict[str, Any]
    balancer: dict[str, Tensor]
    random: list[Tensor]

    @classmethod
    def of(
        cls,
        epoch: int,
        num_batches: int,
        num_images: int,
        seconds: float,
        meter: EpochMeter,
        balancer: Balancer,
        device: torch.device,
    ) -> EpochPart:
        """What is to be known after so many batches, each followed by a step or accumulated in one."""
        drawn = [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]
        return cls(epoch, num_batches, num_images, seconds, meter.state(), _state(balancer), drawn)

    def restore(self, meter: EpochMeter, balancer: Balancer, device: torch.device) -> None:
        """Brings an epoch that has just begun to where this one was."""
        with torch.no_grad():
            for name, value in _state(balancer).items():
                value.copy_(self.balancer[name])
        meter.load(self.meter)
        torch.set_rng_state(self.random[0])
        if device.type == "cuda":
            torch.cuda.set_rng_state(self.random[1], device)

    def check(self, balancer: Balancer, path: Path) -> None:
        """Checks that the balancer is of the same kind.

        Raises:
            UserError: it is of another; the line begins with ``path``, the checkpoint's.
        """
        own, found = ({name: value.shape for name, value in of.items()} for of in (_state(balancer), self.balancer))
        if own != found:
            raise UserError(
                f"{path}: does not belong to this config: its balancer holds {', '.join(found) or 'nothing'}"
            )

    @property
    def num_epochs(self) -> int:
        """That were finished before."""
        return self.epoch - 1


def _state(balancer: Balancer) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in (*balancer.named_parameters(), *balancer.named_buffers())}


def load_part(path: Path, num_epochs: int) -> tuple[EpochPart, Mapping[str, Any]] | None:
    """The part of an epoch in a checkpoint, and the training's state after it.

    Args:
        path: the checkpoint's.
        num_epochs: how many are finished; None is given where the part's is among them, as where a run was killed
            right after an epoch, or where there is no such file.

    Raises:
        UserError: it is damaged.
    """
    state = ranks().from_main(lambda: _read(path) if path.exists() else None)
    if state is None:
        return None
    try:
        part = EpochPart(**state["part"])
        return (part, state["state"]) if part.num_epochs >= num_epochs else None
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: is damaged: it is of no part of an epoch ({error})") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return load_checkpoint(path)
    except UserError as error:
        raise UserError(f"{error}; remove it to go on from the last finished epoch") from None
