"""Modules of a model replaced by outputs that are already there, so that its own code goes on from them.

Any timm model can be taken up in its middle so, since none of its code is taken apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Outputs = dict[str, object]
"""The name of a module -> its output, whatever that is."""


class StandIn(nn.Module):
    """Replaces a module by an output that it has, or would have, given elsewhere.

    Args:
        of: the module; a model's code may ask it for its attributes.
        clone: whether the value is computed with elsewhere too, and may be written to.
    """

    def __init__(self, of: nn.Module, clone: bool) -> None:
        super().__init__()
        self._of = (of,)  # within a tuple it is no module of this one: its weights exist once
        self._clone = clone
        self.value: tuple[Any] | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output that was given, whatever the arguments."""
        assert self.value is not None, "no output was given"
        (value,) = self.value
        return value.clone() if self._clone else value

    def __getattr__(self, name: str) -> Any:
        """An attribute of its own, else of the module that it replaces."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if "_of" not in self.__dict__:  # as it is copied
                raise
            return getattr(self._of[0], name)


@contextmanager
def recording(body: nn.Module, names: Sequence[str]) -> Iterator[Outputs]:
    """Records the outputs of the modules ``names`` during a forward pass; from the last of them on others compute."""
    outputs: Outputs = {}

    def hook(name: str) -> Any:
        def keep(module: nn.Module, args: Any, output: Any) -> None:
            # What the model goes on to do to it in place is not for the others to see.
            outputs[name] = output.clone() if name == names[-1] and isinstance(output, Tensor) else output

        return keep

    with ExitStack() as stack:
        for name in names:
            stack.callback(body.get_submodule(name).register_forward_hook(hook(name)).remove)
        yield outputs


@contextmanager
def giving(body: nn.Module, outputs: Mapping[str, object]) -> Iterator[None]:
    """Gives a model's stand-ins these values, and releases them afterwards, so that only the graph holds them."""
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


def modules_run(body: nn.Module, images: Tensor) -> list[str]:
    """The names of a model's modules in the order in which they end, each as often as it runs."""
    ran: list[str] = []

    def hook(name: str) -> Any:
        return lambda module, args, output: ran.append(name)

    with ExitStack() as stack, torch.no_grad():
        for name, module in body.named_modules():
            if name:
                stack.callback(module.register_forward_hook(hook(name)).remove)
        body.forward_features(images)  # type: ignore[operator]
    return ran


def modules_before(ran: Sequence[str], at: str) -> list[str]:
    """The topmost modules that have run, once and completely, when the module ``at`` has, in order.

    Args:
        ran: as ``modules_run`` gives them.
        at: the name of one of them.

    Raises:
        ValueError: it does not run once.
    """
    if ran.count(at) != 1:
        raise ValueError(f"the model runs it {ran.count(at)} times")
    before = ran[: ran.index(at)]
    once = {name for name in before if ran.count(name) == 1 and not name.startswith(f"{at}.")}

    def parents(name: str) -> Iterator[str]:
        while "." in name:
            name = name.rpartition(".")[0]
            yield name

    return [name for name in before if name in once and not any(parent in once for parent in parents(name))]
