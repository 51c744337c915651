"""Optimisers and schedules: timm's, since only its schedules honour a layer's own learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

import multitask.model.vision_ops  # noqa: F401  (before timm)
from multitask.errors import UserError

from timm.optim import create_optimizer_v2  # isort: skip
from timm.scheduler import CosineLRScheduler, PolyLRScheduler, StepLRScheduler  # isort: skip
from timm.scheduler.scheduler import Scheduler  # isort: skip

if TYPE_CHECKING:
    from multitask.model.encoder import ParameterGroup
    from multitask.training.settings import OptimizerSettings

__all__ = ["CosineLRScheduler", "PolyLRScheduler", "Scheduler", "StepLRScheduler", "create_optimizer", "tried"]


def create_optimizer(settings: OptimizerSettings, groups: list[ParameterGroup], lr: float) -> torch.optim.Optimizer:
    """An optimiser of parameter groups, once a small one of its kind has made two steps.

    Raises:
        UserError: it does not take the options, or cannot step with them.
    """
    device = next((weight.device for group in groups for weight in group["params"]), torch.device("cpu"))
    tried(settings, lr, device)
    try:
        optimizer: torch.optim.Optimizer = create_optimizer_v2(groups, opt=settings.name, lr=lr, **settings.options)
    except Exception as error:  # whatever an optimiser makes of an option that it does not know
        raise UserError(f"training.optimizer: {settings.name} cannot be built: {_reason(error)}") from None
    return optimizer


def tried(settings: OptimizerSettings, lr: float, device: torch.device | None = None) -> frozenset[frozenset[str]]:
    """The names of an optimiser's state of a parameter after its first steps, on weights of its own: the sets of names.

    Raises:
        UserError: it cannot be built or cannot step; many options are looked at no sooner.
    """
    did = "be built"
    with torch.random.fork_rng(devices=[]):
        weights = [torch.ones(4, 4, device=device), torch.ones(4, device=device)]
        parameters = [torch.nn.Parameter(weight) for weight in weights]
        try:
            group = {"params": parameters, "weight_decay": settings.weight_decay}
            optimizer = create_optimizer_v2([group], opt=settings.name, lr=lr, **settings.options)
            did = "make a step"
            for _ in range(2):
                for parameter in parameters:
                    parameter.grad = torch.full_like(parameter, 0.1)
                optimizer.step()
        except Exception as error:  # as above
            raise UserError(f"training.optimizer: {settings.name} cannot {did}: {_reason(error)}") from None
    if not all(bool(parameter.isfinite().all()) for parameter in parameters):
        raise UserError(f"training.optimizer: {settings.name} makes no numbers of weights of 1 with these options")
    return frozenset(frozenset(map(str, state)) for state in optimizer.state.values())


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
