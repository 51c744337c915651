"""A second forward pass of the same batch, without side effects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class ReplayForward:
    """Makes a second forward pass comparable with the one that begins now, and free of side effects.

    Random layers draw what they drew. Batch norms normalise by the batch, as they did, but their running statistics do
    not count it twice. What is drawn afterwards is what would have been drawn.

    Args:
        device: the network's.
    """

    def __init__(self, device: torch.device) -> None:
        self.devices = [device] if device.type == "cuda" else []
        self.drawn = torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in self.devices)

    @contextmanager
    def __call__(self, network: nn.Module) -> Iterator[None]:
        """A context for the second forward pass of ``network``."""
        tracking = [
            module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats
        ]
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(self.devices))
            torch.set_rng_state(self.drawn[0])
            for device, drawn in zip(self.devices, self.drawn[1:], strict=True):
                torch.cuda.set_rng_state(drawn, device)
            for module in tracking:
                if module.training:  # in evaluation mode it is the statistics that normalise
                    stack.callback(setattr, module, "track_running_stats", True)
                    module.track_running_stats = False
            yield
