"""What the loop tells whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Progress:
    """Hears how the work goes; this one says nothing. The console's say it to people."""

    def note(self, text: str) -> None:
        """Something that is worth a line; the same text is said once."""

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """A piece of work begins.

        Args:
            name: what is being done, as "reading pictures".
            total: of how many units.
            unit: what they are.

        Returns:
            To be called with the number done so far.
        """
        return lambda done: None

    def fold(self, index: int, num_folds: int, done: bool) -> None:
        """A fold's run begins, or was finished before."""

    def training(self, first_epoch: int, num_epochs: int, num_batches: int, tasks: tuple[str, ...]) -> None:
        """Training begins, perhaps not at the first epoch. ``tasks``: those that are scored after each."""

    def batch(self, done: int, num_images: int, losses: Callable[[], Mapping[str, float]]) -> None:
        """A batch is done.

        Args:
            done: batches of this epoch so far.
            num_images: images of this epoch so far.
            losses: gives the mean loss of each head in this epoch so far; costs a wait for the device.
        """

    def epoch(self, record: Mapping[str, Any]) -> None:
        """An epoch is done; ``record`` is its row of ``metrics.jsonl``."""

    def close(self) -> None:
        """Nothing follows."""
