"""A backbone that is shared up to one of its stages, with a copy of what follows for each group of tasks.

Any timm model can be branched, since none of its code is taken apart. The model runs whole: that is the trunk and the
first branch. Every other branch is a copy of the model in which the modules that run up to the branch point only give
again what the trunk's gave, so that the copy's own code begins to compute where the trunk ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from difflib import SequenceMatcher
from typing import Any

import torch
from torch import Tensor, nn

from multitask.errors import UserError
from multitask.model.backbone import Backbone
from multitask.model.encoder import Encoded, Trunks

Outputs = dict[str, object]
"""The name of a module -> its output, whatever that is."""


class StandIn(nn.Module):
    """Replaces a module of a branch by the output of the trunk's module of the same name.

    Args:
        of: the trunk's module; a model's code may ask it for its attributes.
        clone: whether the value is computed with, and may be written to.
    """

    def __init__(self, of: nn.Module, clone: bool) -> None:
        super().__init__()
        self._of = (of,)  # within a tuple it is no module of this one: its weights exist once
        self._clone = clone
        self.value: tuple[Any] | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output of the trunk's module, whatever the arguments."""
        assert self.value is not None, "the trunk has not run"
        (value,) = self.value
        return value.clone() if self._clone else value

    def __getattr__(self, name: str) -> Any:
        """An attribute of its own, else of the trunk's module."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if "_of" not in self.__dict__:  # as it is copied
                raise
            return getattr(self._of[0], name)


class Branched(Trunks):
    """One model up to a stage, and from there on a branch for each group of tasks.

    The branches begin alike. A gradient of one group's tasks reaches its own branch, and what is shared gets the sum.

    Args:
        whole: the model; it becomes trunk and first branch.
        at: the last module that is shared, a stage as timm names it.
        groups: the tasks' names; a branch for each group.
        image_size: height and width in pixels of the images that it is tried with.

    Raises:
        UserError: the model has no such stage, cannot be branched there, or nothing that is trained follows it.
    """

    def __init__(self, whole: Backbone, at: str, groups: Sequence[Sequence[str]], image_size: tuple[int, int]) -> None:
        stages = [str(stage["module"]) for stage in getattr(whole.body, "feature_info", [])]
        if at not in stages:
            raise UserError(f"model.sharing.at: {_nearest_first(at, stages)}")
        training = whole.training
        whole.eval()
        images = torch.randn(2, 3, *image_size, generator=torch.Generator().manual_seed(0))
        try:
            before = _before(whole.body, at, images)
            outputs, first = _outputs(whole, [*before, at], images)
            branches = [whole]
            for _ in groups[1:]:
                branches.append(_branch(whole, at, before, outputs, images))
            super().__init__(branches, groups)
            self.given = (*before, at)
            self._check(images, first)
        except (RuntimeError, AssertionError, AttributeError, TypeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            lines = str(error).splitlines() or [type(error).__name__]
            raise UserError(f"model.sharing.at: the backbone cannot be branched at {at!r}: {lines[0]}") from None
        if any(branch.frozen for branch in branches[1:]):
            raise UserError(
                f"model.sharing.at: nothing that is trained follows {at!r}; branch earlier or freeze less; "
                f"it has the stages {', '.join(stages)}"
            )
        self.train(training)

    def forward_features(self, images: Tensor) -> Encoded:
        """The trunk runs once, and each branch on its output."""
        whole, *others = self._each()
        assert isinstance(whole, Backbone)
        with _recording(whole.body, self.given) as outputs:
            trunks = [whole.forward_features(images)]
        for branch in others:
            assert isinstance(branch, Backbone)
            with _giving(branch.body, outputs):
                trunks.append(branch.forward_features(images))
        return Encoded.side_by_side(trunks, self.tasks)

    def _check(self, images: Tensor, expected: Encoded) -> None:
        """Asserts that every branch gives the features of the whole model."""
        self.eval()
        with torch.no_grad():
            found = self.forward_features(images)
        for trunk in found.trunks.values():
            for one, other in ((trunk.pooled, expected.pooled), (trunk.map, expected.map)):
                if one is None or other is None:
                    continue
                if not torch.allclose(one, other, rtol=1e-3, atol=1e-5 * float(other.abs().max())):
                    raise ValueError("a branch gives other features than the model does")


def _nearest_first(at: str, stages: Sequence[str]) -> str:
    if not stages:
        return "the backbone has no stages that timm names"
    order = sorted(stages, key=lambda stage: SequenceMatcher(None, at, stage).ratio(), reverse=True)
    return f"the backbone has no stage {at!r}; it has {', '.join(order)}"


@contextmanager
def _recording(body: nn.Module, names: Sequence[str]) -> Iterator[Outputs]:
    """Records the outputs of the modules ``names`` during a forward pass; the last of them is the branch point."""
    outputs: Outputs = {}

    def hook(name: str) -> Any:
        def keep(module: nn.Module, args: Any, output: Any) -> None:
            # What the first branch does to it in place is not for the others to see.
            outputs[name] = output.clone() if name == names[-1] and isinstance(output, Tensor) else output

        return keep

    with ExitStack() as stack:
        for name in names:
            stack.callback(body.get_submodule(name).register_forward_hook(hook(name)).remove)
        yield outputs


@contextmanager
def _giving(body: nn.Module, outputs: Outputs) -> Iterator[None]:
    """Gives the stand-ins of a branch these values, and releases them afterwards, so that only the graph holds them."""
    modules = {name: body.get_submodule(name) for name in outputs}
    standins = {name: module for name, module in modules.items() if isinstance(module, StandIn)}
    assert len(standins) == len(modules)
    try:
        for name, module in standins.items():
            module.value = (outputs[name],)  # within a tuple even a parameter is none of the module's
        yield
    finally:
        for module in standins.values():
            module.value = None


def _before(body: nn.Module, at: str, images: Tensor) -> list[str]:
    """The topmost modules that have run, once and completely, when the branch point has, in order."""
    ran: list[str] = []

    def hook(name: str) -> Any:
        return lambda module, args, output: ran.append(name)

    with ExitStack() as stack, torch.no_grad():
        for name, module in body.named_modules():
            if name:
                stack.callback(module.register_forward_hook(hook(name)).remove)
        body.forward_features(images)  # type: ignore[operator]
    if ran.count(at) != 1:
        raise ValueError(f"the model runs it {ran.count(at)} times")
    before = ran[: ran.index(at)]
    once = {name for name in before if ran.count(name) == 1 and not name.startswith(f"{at}.")}

    def parents(name: str) -> Iterator[str]:
        while "." in name:
            name = name.rpartition(".")[0]
            yield name

    return [name for name in before if name in once and not any(parent in once for parent in parents(name))]


def _outputs(whole: Backbone, names: Sequence[str], images: Tensor) -> tuple[Outputs, Encoded]:
    """The outputs of the trunk's modules, and the features of the whole model."""
    with torch.no_grad(), _recording(whole.body, names) as outputs:
        first = whole.forward_features(images)
    if not isinstance(outputs[names[-1]], Tensor):
        raise ValueError("it does not give one feature map")
    return outputs, first


def _branch(whole: Backbone, at: str, before: Sequence[str], outputs: Outputs, images: Tensor) -> Backbone:
    """A copy of the model that shares everything up to the branch point."""
    branch = deepcopy(whole)
    for name in (*before, at):
        parent, _, leaf = name.rpartition(".")
        setattr(branch.body.get_submodule(parent), leaf, StandIn(whole.body.get_submodule(name), clone=name == at))
    used = _used(branch, outputs, images)
    for name, _ in list(branch.body.named_parameters()):
        if name not in used:
            # Read by the model's own code on the way to the branch point, as position embeddings are. The trunk's
            # stands in its place as a plain attribute, so that it exists once for optimiser, average and checkpoint.
            parent, _, leaf = name.rpartition(".")
            owner = branch.body.get_submodule(parent)
            del owner._parameters[leaf]
            owner.__dict__[leaf] = whole.body.get_parameter(name)
    branch.note_frozen()
    return branch


def _used(branch: Backbone, outputs: Outputs, images: Tensor) -> set[str]:
    """The names of the parameters that a branch's features depend on, given the trunk's outputs."""
    parameters = dict(branch.body.named_parameters())
    trained = {name for name, parameter in parameters.items() if parameter.requires_grad}
    branch.frozen = False
    branch.body.requires_grad_(True)
    with torch.enable_grad(), _giving(branch.body, outputs):
        encoded = branch.forward_features(images)
        total = encoded.pooled.sum() + (0 if encoded.map is None else encoded.map.sum())
        found = torch.autograd.grad(total, list(parameters.values()), allow_unused=True) if total.requires_grad else ()
    for name, parameter in parameters.items():
        parameter.requires_grad = name in trained
    return {name for name, gradient in zip(parameters, found, strict=False) if gradient is not None}
