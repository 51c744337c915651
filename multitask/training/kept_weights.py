"""The weights of a run that are used afterwards, of which what training cannot change is written once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from multitask.errors import DivergedError
from multitask.training.checkpoint import load_checkpoint, save_checkpoint

BEST, FROZEN = "best.safetensors", "frozen.safetensors"


class KeptWeights:
    """The checkpoint of the epoch that is kept, ``best.safetensors``, while training goes on.

    Where nothing is frozen whole it is whole after every epoch. Else, until the end, it holds what changes alone and
    ``frozen.safetensors`` beside it the rest, which ``load_kept`` reads as one: a frozen backbone is most of a network
    whose heads are trained in seconds.

    Args:
        folder: of the checkpoints.
        fixed: by name, the part of the state that training cannot change.
    """

    def __init__(self, folder: Path, fixed: Mapping[str, Tensor]) -> None:
        self.folder = folder
        self._fixed = fixed
        self._best, self._frozen = folder / BEST, folder / FROZEN

    def save(self, epoch: int, state: Mapping[str, Tensor], last: bool) -> None:
        """Writes the weights of an epoch.

        Args:
            epoch: from 1.
            state: of the network, with or without what is fixed.
            last: whether no epoch follows, so that they are written whole.

        Raises:
            OSError: they cannot be written; those of an earlier epoch stand.
        """
        if last or not self._fixed:
            self._save_whole(epoch, state)
            return
        if not self._frozen.exists():  # first, so that at no moment a part is missing
            save_checkpoint(self._frozen, {"network": dict(self._fixed)})
        changing = {name: value for name, value in state.items() if name not in self._fixed}
        save_checkpoint(self._best, {"epoch": epoch, "network": changing})

    @contextmanager
    def completed(self) -> Iterator[None]:
        """A context at whose end ``best.safetensors`` is whole, also where training diverges."""
        try:
            yield
        except DivergedError:
            self._complete()
            raise
        self._complete()

    def _complete(self) -> None:
        if self._frozen.exists() and self._best.exists():
            kept = load_checkpoint(self._best)
            self._save_whole(kept["epoch"], kept["network"])

    def _save_whole(self, epoch: int, state: Mapping[str, Tensor]) -> None:
        save_checkpoint(self._best, {"epoch": epoch, "network": {**self._fixed, **state}})
        self._frozen.unlink(missing_ok=True)


def load_kept(best: Path) -> dict[str, Any]:
    """The checkpoint of the epoch that is kept, whole whether its run is finished or not.

    Raises:
        UserError: there is none, or it is damaged.
    """
    frozen = best.with_name(FROZEN)
    if not frozen.exists():
        return load_checkpoint(best)
    fixed, kept = load_checkpoint(frozen), load_checkpoint(best)
    return {**kept, "network": {**fixed["network"], **kept["network"]}}
