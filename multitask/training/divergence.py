"""Divergence: losses, weights or outputs that are NaN or infinite, and the settings that help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from multitask.errors import DivergedError
from multitask.labels import JOINT
from multitask.training.loss_meter import LossMeter
from multitask.training.settings import TrainingSettings
from multitask.training.sharded_tensors import local


class DivergenceCheck:
    """Stops a training whose losses, weights or outputs are NaN or infinite.

    Args:
        settings: the ``training`` section; a line names what of it to change.
        dtype: what the network computes in.
    """

    def __init__(self, settings: TrainingSettings, dtype: torch.dtype) -> None:
        half = f"set training.precision other than {settings.precision}, " if dtype == torch.float16 else ""
        self._advice = f"{half}lower training.lr ({settings.lr:g}) or set training.clip_norm"

    def losses(self, sums: LossMeter, epoch: int) -> None:
        """Checks the losses since the last look.

        Raises:
            DivergedError: one is NaN or infinite; it names the head and the batch.
        """
        found = sums.first_not_finite()
        if found is not None:
            batch, head, value = found
            raise DivergedError(
                f"{head if head == JOINT else f'heads.{head}'}: the loss is {value} at batch {batch} of epoch {epoch}; "
                f"{self._advice}"
            )

    def weights(self, epoch: int, *networks: nn.Module, anywhere: Callable[[Tensor], Tensor] | None = None) -> None:
        """Checks that the last steps of an epoch, which no loss tells of, left finite weights.

        Args:
            epoch: from 1.
            networks: whose weights.
            anywhere: from flags of the weights here to whether they are set in any process; None: all have the same.

        Raises:
            DivergedError: a weight is NaN or infinite; it names the head, or the backbone.
        """
        names, values = zip(*(named for network in networks for named in network.named_parameters()), strict=True)
        found = ~torch.stack([local(value.detach()).isfinite().all() for value in values])
        wrong = (found if anywhere is None else anywhere(found)).nonzero().flatten().tolist()
        if wrong:
            raise DivergedError(
                f"{_owner(names[wrong[0]])}: the weights are no numbers after epoch {epoch}; {self._advice}"
            )

    @contextmanager
    def answers(self, epoch: int) -> Iterator[None]:
        """A context for validation, which adds the epoch and the settings that help to what diverges in it.

        Raises:
            DivergedError: as it was raised within, with when and what helps.
        """
        try:
            yield
        except DivergedError as error:
            raise DivergedError(f"{error} after epoch {epoch}; {self._advice}") from None


def _owner(name: str) -> str:
    """The part of the network that a weight belongs to: ``heads.age``, ``joint``, ``backbone``."""
    return ".".join(name.split(".")[: 2 if name.startswith("heads.") else 1])
