"""Facts on how images are cropped and fitted, as reports and ``data.json`` hold them."""

from __future__ import annotations

from dataclasses import dataclass, field

from multitask.utils.records import ONLY_IF_KNOWN, Count, Number


@dataclass(frozen=True)
class CropCounts:
    """The counts of images that were cropped to a box of their own, and to the fallback.

    Attributes:
        name: the crop's.
        found: images that have a box.
        fallback: those that have none, and were cropped as ``data.crop.fallback`` says.
    """

    name: str
    found: Count
    fallback: Count


@dataclass(frozen=True, kw_only=True)
class FitCounts:
    """The effect of ``data.fit`` on images of another shape than the input's.

    Attributes:
        name: the setting.
        image_size: height and width of the input, in pixels.
        num_measured: images whose size was read.
        num_wide: those that are changed at their sides.
        num_tall: those that are changed at top and bottom.
        median: of the shares of those that are changed, as ``data.fit.excess`` has them without their sign; left out,
            as the two that follow, where none is.
        max: the largest of these shares.
        most: the image that has it.
    """

    name: str
    image_size: tuple[Count, Count]
    num_measured: Count
    num_wide: Count
    num_tall: Count
    median: Number | None = field(default=None, metadata=ONLY_IF_KNOWN)
    max: Number | None = field(default=None, metadata=ONLY_IF_KNOWN)
    most: str | None = field(default=None, metadata=ONLY_IF_KNOWN)


@dataclass(frozen=True)
class FirstFrames:
    """Images that hold several frames or pages, of which the first is used.

    Attributes:
        num: of these images.
        example: the name of one.
    """

    num: Count
    example: str


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """The facts on some images.

    Attributes:
        crop: left out where images have no boxes of their own.
        fit: None in files from before it was recorded.
        first_frames: left out where there are none.
    """

    crop: CropCounts | None = field(default=None, metadata=ONLY_IF_KNOWN)
    fit: FitCounts | None = field(default=None, metadata=ONLY_IF_KNOWN)
    first_frames: FirstFrames | None = field(default=None, metadata=ONLY_IF_KNOWN)
