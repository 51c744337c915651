"""A network that all processes run at once, since its blocks need them all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from multitask.errors import UserError


class Together:
    """A sharded network in evaluation mode, whose blocks need all processes each time that one of them asks it.

    Args:
        network: sharded.
        blank: an input, which a process runs for the others' sake.
    """

    def __init__(self, network: nn.Module, blank: Tensor) -> None:
        self._network = network
        self._blank = blank

    def __call__(self, images: Tensor) -> Any:
        """The answers to images; other processes are at a batch of their own, or in the end of ``lockstep``."""
        self._anybody(True)
        return self._run(images)

    @contextmanager
    def lockstep(self) -> Iterator[None]:
        """A context for all that a process asks; its end waits for the others and runs what they do, also after an
        error that they are still to hear of.
        """
        try:
            yield
        except UserError:
            self._follow()
            raise
        self._follow()

    def _follow(self) -> None:
        while self._anybody(False):
            self._run(self._blank)

    def _run(self, images: Tensor) -> Any:
        with torch.no_grad():
            return self._network(images)

    def _anybody(self, asks: bool) -> bool:
        found = torch.tensor(int(asks))  # on the CPU: to look at it is to wait for no GPU
        dist.all_reduce(found)
        return bool(found)
