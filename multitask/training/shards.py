"""The weights of a training in its processes: a part in each, by torch's ``fully_shard`` (FSDP2)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import Shard, distribute_tensor

from multitask.errors import UserError, first_line
from multitask.training.replicas import Replicas
from multitask.training.sharded_tensors import gathered, local
from multitask.training.together import Together
from multitask.utils.ranks import ranks

if TYPE_CHECKING:
    from multitask.training.ema import WeightEMA
    from multitask.training.settings import OptimizerSettings

KEY = "training.parallel"


def units(module: nn.Module) -> list[nn.Module]:
    """The modules of a network whose weights are gathered one after the other: its blocks, as its containers hold them.

    A container is an ``nn.ModuleList`` or ``nn.Sequential``. A module of less than a twentieth of the weights is not
    looked into, and one of less than a five-hundredth is no unit.
    """
    whole = _size(module)
    return [] if not whole else [unit for unit in _units(module, whole) if unit is not module]


def _units(module: nn.Module, whole: int) -> list[nn.Module]:
    children = [child for container in _containers(module) for child in container.children()]
    inside = sum(map(_size, children))
    if children and _size(module) > whole / 20 and 2 * inside > _size(module):
        return [unit for child in children for unit in _units(child, whole)]
    runs = not isinstance(module, nn.ModuleList | nn.ModuleDict)
    return [module] if runs and 500 * _size(module) > whole else []


def _containers(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost ones, of which the module may be one."""
    if isinstance(module, nn.ModuleList | nn.Sequential):
        yield module
        return
    for child in module.children():
        yield from _containers(child)


def _size(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def check_steps(settings: OptimizerSettings, lr: float, device: torch.device, beside: bool) -> None:
    """Checks that an optimiser moves sharded weights as whole ones, and that its state can be gathered.

    Args:
        settings: the optimiser's.
        lr: its learning rate.
        device: of the training.
        beside: whether it also moves weights that are whole, which a balancer learns.

    Raises:
        UserError: it does not.
    """
    mesh = init_device_mesh(device.type, (ranks().size,))
    draws = torch.Generator().manual_seed(0)
    shapes = ((9, 6), (7,), (1, 5))
    starts = [torch.randn(shape, generator=draws).to(device) for shape in shapes]
    steps = [[torch.randn(shape, generator=draws).to(device) for shape in shapes] for _ in range(3)]

    def moved(deal: Callable[[Tensor], Tensor]) -> tuple[Any, Any]:
        dealing = [*[deal] * 2, (lambda whole: whole) if beside else deal]
        weights = [nn.Parameter(put(start.clone())) for put, start in zip(dealing, starts, strict=True)]
        optimizer = settings.build([{"params": weights, "weight_decay": settings.weight_decay, "lr_scale": 1.0}], lr)
        for gradients in steps:
            for put, weight, gradient in zip(dealing, weights, gradients, strict=True):
                weight.grad = put(gradient.clone())
            optimizer.step()
        state = [dict(optimizer.state[weight]) for weight in weights]
        return gathered([weight.detach() for weight in weights], True), gathered(state, True)

    key = f"training.optimizer: {settings.name}"
    expected = moved(lambda whole: whole)
    try:
        found = moved(lambda whole: distribute_tensor(whole, mesh, [Shard(0)]))
    except Exception as error:  # whatever an optimiser makes of tensors that are not here whole
        raise UserError(f"{key} does not take shards ({KEY}: fsdp), use adamw or sgd: {first_line(error)}") from None
    if not _alike(expected, found):
        raise UserError(f"{key} moves shards ({KEY}: fsdp) otherwise than whole weights; use adamw or sgd")


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        same = isinstance(other, Tensor) and one.shape == other.shape
        return same and torch.allclose(one.cpu(), other.cpu(), rtol=1e-4, atol=1e-5)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)


class Shards(Replicas):
    """Each process has a part of every weight, of its gradient and of the optimiser's state of it.

    A block's weights are gathered when it is run, forward and backward, and freed afterwards; what is in no block, the
    heads too, stays gathered from the forward pass to the end of the backward pass. Buffers are whole everywhere.

    Args:
        device: of the training.
        image_size: height and width in pixels.
        name: of the backbone, for errors.
    """

    def __init__(self, device: torch.device, image_size: tuple[int, int], name: str) -> None:
        super().__init__()
        self.device = device
        self._name = name
        self._image_size = image_size

    def place(self, *networks: nn.Module) -> None:
        """Shards networks, which may be on the CPU, and runs each once.

        Raises:
            UserError: one does not run so.
        """
        mesh = init_device_mesh(self.device.type, (self.ranks.size,))
        for network in networks:
            try:
                self._shard(network, mesh)
                self._try(network)
            except (RuntimeError, ValueError, NotImplementedError, AssertionError) as error:
                raise UserError(
                    f"{KEY}: fsdp cannot train {self._name}, use ddp; torch says: {first_line(error)}"
                ) from None

    def _shard(self, network: nn.Module, mesh: Any) -> None:
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        for unit in units(network.get_submodule("backbone")):
            unit.register_forward_hook(_without_views)
            fully_shard(unit, mesh=mesh)
        # Of features that are views: what is in no block stays gathered until they have gradients.
        told = rf"FSDP2-wrapped module \({re.escape('FSDP' + type(network).__name__)}\) returned a view"
        warnings.filterwarnings("ignore", told, UserWarning)
        fully_shard(network, mesh=mesh)
        for method in ("forward_features", "forward_heads"):
            register_fsdp_forward_method(network, method)

    def _try(self, network: nn.Module) -> None:
        """A forward and a backward pass that leave nothing: memory is then known, and what torch cannot do.

        The buffers of gathered weights are made here: those of a first pass under inference_mode could not be trained
        with.
        """
        training = network.training
        network.eval()
        answers = network(self._blank())
        if any(answer.requires_grad for answer in answers.values()):
            sum(answer.sum() for answer in answers.values()).backward()
        network.zero_grad(set_to_none=True)
        network.reshard()  # type: ignore[operator]
        network.train(training)

    def _blank(self) -> Tensor:
        return torch.zeros(1, 3, *self._image_size, device=self.device)

    @torch.no_grad()
    def reduce(self, own: Sequence[Tensor], shared: Sequence[Tensor]) -> None:
        """The gradients of the sharded weights are their means over ranks already, and become their sums."""
        for weight in own:
            if weight.grad is not None:
                local(weight.grad).mul_(self.ranks.size)
        super().reduce([], shared)

    @torch.no_grad()
    def clip(self, own: Sequence[Tensor], shared: Sequence[Tensor], norm: float) -> None:
        """As of whole gradients."""
        parts, wholes = ([local(one.grad) for one in of if one.grad is not None] for of in (own, shared))
        squares = torch.stack([torch.linalg.vector_norm(part) for part in parts]).square().sum()
        dist.all_reduce(squares)
        total = sum((part.square().sum() for part in wholes), start=squares).sqrt()
        factor = (norm / (total + 1e-6)).clamp(max=1.0)  # torch's own
        for part in (*parts, *wholes):
            part.mul_(factor)

    @torch.no_grad()
    def average(self, average: WeightEMA, network: nn.Module, update: int) -> None:
        """Of each part its process takes its own."""
        share = 1.0 - average.get_decay(update)
        values = network.state_dict()
        for name, mean in average.module.state_dict().items():
            value = values[name]
            if mean.is_floating_point() and name not in average.unbounded:
                local(mean).lerp_(local(value), share)
            else:
                mean.copy_(value)

    def anywhere(self, flags: Tensor) -> Tensor:
        """(K,) bool, whether a flag is set in any process."""
        found = flags.to(torch.uint8)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return found.bool()

    def save(self, make: Callable[[], dict[str, Any]], write: Callable[[dict[str, Any]], None]) -> None:
        """Whole tensors have the names that they have in one process."""
        state = gathered(make(), self.ranks.is_main)
        if self.ranks.is_main:
            write(state)

    @contextmanager
    def evaluating(self, network: nn.Module) -> Iterator[Callable[[Tensor], Any]]:
        """A network that all processes run together, however many batches each has."""
        network.eval()
        try:
            yield Together(network, self._blank())
        finally:
            network.reshard()  # type: ignore[operator]


def _without_views(module: nn.Module, args: Any, output: Any) -> Any:
    """A copy of an output that is a view: what is done to it in place would go past torch's gathering."""
    if isinstance(output, Tensor):
        return output.clone() if output._base is not None else output
    if isinstance(output, (list, tuple)) and not hasattr(output, "_fields"):
        return type(output)(_without_views(module, args, one) for one in output)
    return output
