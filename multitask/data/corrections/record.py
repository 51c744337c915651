"""The record of what corrections changed, as ``data.json`` holds it."""

from __future__ import annotations

from dataclasses import dataclass, field

from multitask.utils.records import ONLY_IF_KNOWN

Entry = dict[str, object]
"""A correction as its file has it, and that ``file``; one that was applied has the number of its images too."""


@dataclass(frozen=True)
class CorrectionsRecord:
    """The corrections of a config that were made, and those that were not.

    Attributes:
        tier: the lowest that was applied.
        applied: with ``num_images``, the number of images that each changed.
        absent: of images that the data does not have.
        test: of images that test, and were left alone; None: there are none.
    """

    tier: str
    applied: tuple[Entry, ...]
    absent: tuple[Entry, ...]
    test: tuple[Entry, ...] | None = field(default=None, metadata=ONLY_IF_KNOWN)
