"""Pauses of a process that listens to others, as of a job that SLURM suspends, or of a machine that sleeps."""

from __future__ import annotations


class Pauses:
    """How long a process stood still between two looks at its workers, whose silence meanwhile says nothing.

    They may have stood still with it.

    Args:
        grace_s: after how many seconds of silence a worker counts as lost; a pause is longer than half of that.
        now: by the clock of the looks, in seconds.

    >>> pauses = Pauses(20.0, now=100.0)
    >>> pauses.until(105.0), pauses.until(116.0), pauses.until(117.0)
    (0.0, 11.0, 0.0)
    """

    def __init__(self, grace_s: float, now: float) -> None:
        self._grace_s = grace_s
        self._looked = now

    def until(self, now: float) -> float:
        """The seconds since the last look, which this is from now on, where they are a pause; else 0."""
        seconds, self._looked = now - self._looked, now
        return seconds if seconds > self._grace_s / 2 else 0.0
