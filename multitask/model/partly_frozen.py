"""A backbone whose first stages are frozen, in two: what these make of an image, and the stages that go on from it."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from multitask.errors import UserError, first_line
from multitask.model.backbone import Backbone
from multitask.model.encoder import Encoded, Encoder, ParameterGroup, Widths
from multitask.model.stages import is_list_member
from multitask.model.stand_in import StandIn, giving, modules_before, modules_run, recording

_Module = TypeVar("_Module", bound=nn.Module)
_TRIED = 8
"""Modules at which a model is tried to be taken up: behind the last frozen block there may be some without weights."""


@dataclass(frozen=True)
class OutputRows:
    """The output of a module for an image as one row of numbers.

    Attributes:
        shape: of an image's output.
        channels_last: whether the channels of a (C, H, W) output are neighbours in memory, in a row as in a batch.
    """

    shape: tuple[int, ...]
    channels_last: bool = False

    @classmethod
    def of(cls, output: Tensor) -> OutputRows:
        """The rows of a batch's output."""
        last = output.ndim == 4 and output.stride(1) == 1 and output.shape[1] > 1
        return cls(tuple(output.shape[1:]), last)

    @property
    def width(self) -> int:
        """The numbers in a row."""
        return math.prod(self.shape)

    def pack(self, output: Tensor) -> Tensor:
        """(B, width) of a batch's output."""
        return (output.permute(0, 2, 3, 1) if self.channels_last else output).flatten(1)

    def unpack(self, rows: Tensor) -> Tensor:
        """A batch's output, of (B, width) numbers."""
        if not self.channels_last:
            return rows.reshape(-1, *self.shape)
        channels, height, width = self.shape
        return rows.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


class _ReachedError(Exception):
    """Ends a forward pass where nothing more is asked of it."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


class FrozenStages(Encoder):
    """From images to the output of the last frozen module, which takes the pooled features' place.

    Args:
        whole: the backbone.
        at: the name of that module.
        rows: those of its output.
    """

    def __init__(self, whole: Backbone, at: str, rows: OutputRows) -> None:
        super().__init__()
        self.whole, self.at, self.rows = whole, at, rows
        self.widths = Widths(rows.width, 0)
        self.frozen = True

    def forward_features(self, images: Tensor) -> Encoded:
        """(B, width) rows; what follows the module does not run."""

        def end(module: nn.Module, args: object, output: Tensor) -> None:
            raise _ReachedError(output)

        hook = self.whole.body.get_submodule(self.at).register_forward_hook(end)
        try:
            self.whole.body.forward_features(images)
        except _ReachedError as reached:
            return Encoded(self.rows.pack(reached.output))
        finally:
            hook.remove()
        raise AssertionError(f"{self.at} did not run")

    def parameter_groups(self, weight_decay: float, layer_decay: float | None) -> Iterator[ParameterGroup]:
        """None: nothing is trained."""
        return iter(())

    def state_digest(self) -> str:
        """That of the backbone, with the module's name."""
        return f"{self.whole.state_digest()} {self.at}"


class TrainedStages(Backbone):
    """From the output of the last frozen module to the features that the heads read.

    Its modules are the backbone's own, under the same names; in place of the frozen ones that lie before stand-ins.

    Args:
        whole: the backbone.
        given: the names of the frozen modules, of which the last gives the output.
        image_size: height and width in pixels.
    """

    def __init__(self, whole: Backbone, given: Sequence[str], image_size: tuple[int, int]) -> None:
        Encoder.__init__(self)  # and not the backbone's, which builds a model
        images = _images(3, image_size, next(whole.parameters()).device)
        with torch.no_grad(), recording(whole.body, given) as outputs:
            whole.body.forward_features(images)
        with torch.no_grad(), recording(whole.body, given) as fewer:
            whole.body.forward_features(images[:2])
        output = outputs.pop(given[-1])
        if not isinstance(output, Tensor):
            raise ValueError("it does not give one tensor")
        self.rows, self._at = OutputRows.of(output), given[-1]
        # What the frozen modules before the last one gave the model's code goes nowhere but into the last one. Only
        # its shape has to fit, which may be the number of images times something.
        self._passed = outputs
        self._per_image = {name for name in outputs if _shape(outputs[name]) != _shape(fewer[name])}
        self._image_size = image_size
        self.name, self.widths = whole.name, whole.widths
        self.body = _with_stand_ins(whole.body, given)
        self.note_frozen()

    def forward_features(self, images: Tensor) -> Encoded:
        """The features of (B, width) rows, in the images' place."""
        num = len(images)
        given = {self._at: self.rows.unpack(images), **self._outputs_before(num, images.device)}
        blank = images.new_zeros((), dtype=torch.float32).expand(num, 3, *self._image_size)
        with giving(self.body, given):
            return super().forward_features(blank)

    def _outputs_before(self, num: int, device: torch.device) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, value in self._passed.items():
            if isinstance(value, Tensor):
                value = value.to(device)
                value = value[:1].expand(num, *value.shape[1:]) if name in self._per_image else value
            found[name] = value
        return found


def split(whole: Backbone, image_size: tuple[int, int]) -> tuple[FrozenStages, TrainedStages]:
    """A partly frozen backbone as what is frozen and what is trained.

    Args:
        whole: with frozen stages, and others behind them.
        image_size: height and width in pixels.

    Raises:
        UserError: the model cannot be taken up behind its frozen stages.
    """
    training = whole.training
    whole.eval()
    images = _images(3, image_size, next(whole.parameters()).device)
    ran = modules_run(whole.body, images)
    last = ""
    try:
        for at in _candidates(whole.body, ran):
            try:
                trained = TrainedStages(whole, [*modules_before(ran, at), at], image_size)
                frozen = FrozenStages(whole, at, trained.rows)
                trained.eval()
                # On others than those of which it has what was passed, and another number of them.
                _check(whole, frozen, trained, _images(2, image_size, images.device, seed=1))
            except (RuntimeError, AssertionError, AttributeError, TypeError, ValueError, IndexError) as error:
                last = last or f"{at}: {first_line(error)}"
                continue
            trained.train(training)
            return frozen, trained
    finally:
        _forget(whole)
        whole.train(training)
    raise UserError(
        f"model.backbone.features: {whole.name} cannot be taken up behind its frozen stages "
        f"({last or 'none runs first'}); freeze other stages or all, or leave it out"
    )


def _candidates(body: nn.Module, ran: Sequence[str]) -> list[str]:
    """Modules after which nothing but trained ones may follow, the last first.

    None of them lies within a block: its branches may lead past one of its modules, which their small first gains hide.
    """
    modules = dict(body.named_modules())

    def trains(name: str) -> bool:
        return any(parameter.requires_grad for parameter in modules[name].parameters(recurse=False))

    def in_chain(name: str) -> bool:
        parent = name.rpartition(".")[0]
        return not parent or (isinstance(modules[parent], nn.Sequential | nn.ModuleList) and in_chain(parent))

    end = next((place for place, name in enumerate(ran) if trains(name)), len(ran))
    whole = [name for name in ran[:end] if in_chain(name) or is_list_member(modules, name)]
    return [name for name in reversed(whole) if ran.count(name) == 1][:_TRIED]


def _check(whole: Backbone, frozen: FrozenStages, trained: TrainedStages, images: Tensor) -> None:
    """Asserts that both in turn give the backbone's features, and that all that it trains is trained."""
    with torch.no_grad():
        rows = frozen.forward_features(images).pooled
        expected, found = whole.forward_features(images), trained.forward_features(rows)
    if not found.is_close(expected):
        raise ValueError("what follows it gives other features than the model does")
    if _moved(trained, rows) != _moved(whole, images):
        raise ValueError("something that is trained lies before it")


def _moved(backbone: Backbone, inputs: Tensor) -> set[str]:
    """The names of the parameters that are trained and that features depend on."""
    _forget(backbone)
    named = {name: value for name, value in backbone.body.named_parameters() if value.requires_grad}
    return backbone.forward_features(inputs).depends_on(named)


def _forget(backbone: Backbone) -> None:
    """Drops what some models keep between forward passes in evaluation mode, as LeViT its position biases."""
    backbone.train()
    backbone.eval()


def _with_stand_ins(body: nn.Module, names: Sequence[str]) -> nn.Module:
    """A model of the same modules, where stand-ins replace the named ones; the model itself stays as it is."""
    found = shallow_copy(body)
    copied: dict[str, nn.Module] = {"": found}
    for name in names:
        parent = ""
        for part in name.split(".")[:-1]:
            path = f"{parent}.{part}" if parent else part
            if path not in copied:
                copied[path] = shallow_copy(body.get_submodule(path))
                copied[parent]._modules[part] = copied[path]
            parent = path
        copied[parent]._modules[name.rpartition(".")[2]] = StandIn(body.get_submodule(name), clone=False)
    return found


def shallow_copy(module: _Module) -> _Module:
    """A module with the same parameters, buffers and modules, any of which may be replaced in it alone."""
    found = copy.copy(module)
    found.__dict__["_modules"] = dict(module._modules)
    return found


def _images(num: int, image_size: tuple[int, int], device: torch.device, seed: int = 0) -> Tensor:
    """Normalised images of noise, as batches lie in memory."""
    images = torch.randn(num, *image_size, 3, generator=torch.Generator().manual_seed(seed))
    return images.to(device).permute(0, 3, 1, 2)


def _shape(output: object) -> tuple[int, ...] | None:
    return tuple(output.shape) if isinstance(output, Tensor) else None
