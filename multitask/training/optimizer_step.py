"""A step of the optimiser, and what goes with each: the schedule, and the exponential average of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from multitask.balancers.base import Balancer
from multitask.model.network import Heads
from multitask.training.replicas import Replicas
from multitask.training.settings import TrainingSettings

if TYPE_CHECKING:
    from multitask.training.ema import WeightEMA


class OptimizerStep:
    """The optimiser of a network and of what its balancer learns, with its schedule.

    Args:
        network: its weights lie as ``replicas`` has placed them.
        balancer: its own parameters have no weight decay and the full learning rate.
        settings: the ``training`` section.
        num_batches: per epoch.
        scaler: of the loss.
        replicas: how the weights lie in the processes.
        ema: the exponential average of the weights; None: there is none.

    Attributes:
        optimizer: whose steps these are.
        parameters: what it moves.
        num_per_epoch: steps in an epoch; the last may be of fewer batches.
    """

    def __init__(
        self,
        network: Heads,
        balancer: Balancer,
        settings: TrainingSettings,
        num_batches: int,
        scaler: torch.amp.GradScaler,
        replicas: Replicas,
        ema: WeightEMA | None,
    ) -> None:
        self._network = network
        self._balancer = balancer
        self._clip_norm = settings.clip_norm
        self._scaler = scaler
        self._replicas = replicas
        self._ema = ema
        groups = network.parameter_groups(settings.optimizer.weight_decay, settings.optimizer.layer_decay)
        self._weights: list[Tensor] = [parameter for group in groups for parameter in group["params"]]
        self._learned = list(balancer.parameters())
        if self._learned:
            groups.append({"params": self._learned, "weight_decay": 0.0, "lr_scale": 1.0})
        self.parameters = [*self._weights, *self._learned]
        self.optimizer = settings.optimizer.build(groups, settings.lr)
        self.num_per_epoch = -(-num_batches // settings.accumulate)
        self._schedule = settings.schedule.build(self.optimizer, settings.lr, settings.epochs, self.num_per_epoch)

    def __call__(self, number: int) -> None:
        """Makes a step of the gradients that were added, and clears them; steps are counted from 1 over all epochs."""
        self._replicas.reduce(self._weights, self._learned)
        if self._clip_norm is not None:
            self._scaler.unscale_(self.optimizer)
            self._replicas.clip(self._weights, self._learned, self._clip_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self._balancer.after_step()
        self._schedule.step_update(number)
        if self._ema:
            self._replicas.average(self._ema, self._network, number)

    def resume(self, number: int) -> None:
        """Sets the learning rates to those after so many steps."""
        self._schedule.step_update(number)
