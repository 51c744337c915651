"""Facts on a run's data, as ``data.json`` holds them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from multitask.data.corrections.record import CorrectionsRecord
from multitask.data.image_facts import CropCounts, FirstFrames, FitCounts, ImageFacts
from multitask.utils.records import ONLY_IF_KNOWN, Count, Number


@dataclass(frozen=True)
class SplitSize:
    """The number of images in a split, and of their groups."""

    num_images: Count
    num_groups: Count


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """``data.json``: the facts on a run's data. None: a file from before the fact was recorded, or there is none.

    Attributes:
        root: its folder.
        roots: by name, where there are several.
        fingerprint: a digest of images, labels, groups and weights.
        num_images: of all splits.
        num_groups: likewise.
        test: the size of the split that tests.
        corrections: what ``data.corrections`` changed.
        notes: warnings on how the source was read.
        other_files: how many files beside the images are none, by suffix.
        centres: per task whose labels are ranges of a number, the mean number of each label's training images.
        per_group: the tasks whose label belongs to the group, declared or in the images that train.
        crop: as of ``ImageFacts``.
        fit: likewise.
        first_frames: likewise.
    """

    root: str | None = None
    roots: dict[str, str] | None = field(default=None, metadata=ONLY_IF_KNOWN)
    fingerprint: str | None = None
    num_images: Count | None = None
    num_groups: Count | None = None
    test: SplitSize | None = field(default=None, metadata=ONLY_IF_KNOWN)
    corrections: CorrectionsRecord | None = field(default=None, metadata=ONLY_IF_KNOWN)
    notes: tuple[str, ...] | None = field(default=None, metadata=ONLY_IF_KNOWN)
    other_files: dict[str, Count] | None = field(default=None, metadata=ONLY_IF_KNOWN)
    centres: dict[str, tuple[Number, ...]] | None = None
    per_group: tuple[str, ...] | None = field(default=None, metadata=ONLY_IF_KNOWN)
    crop: CropCounts | None = field(default=None, metadata=ONLY_IF_KNOWN)
    fit: FitCounts | None = field(default=None, metadata=ONLY_IF_KNOWN)
    first_frames: FirstFrames | None = field(default=None, metadata=ONLY_IF_KNOWN)

    @property
    def images(self) -> ImageFacts:
        """The facts on how the images are cropped and fitted."""
        return ImageFacts(crop=self.crop, fit=self.fit, first_frames=self.first_frames)

    def with_images(self, images: ImageFacts) -> DataFacts:
        """These facts, with those on how the images are cropped and fitted."""
        return replace(self, crop=images.crop, fit=images.fit, first_frames=images.first_frames)
