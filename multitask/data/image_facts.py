"""What the network sees of some images, as reports and ``data.json`` hold it."""

from __future__ import annotations

from dataclasses import dataclass, field

from multitask.utils.records import ONLY_IF_KNOWN, Count, Number


@dataclass(frozen=True)
class CropCounts:
    """How many images were cropped to a box of their own.

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
    """What ``data.fit`` does to images that have not the shape of the input.

    Attributes:
        name: the setting.
        image_size: height and width of the input, in pixels.
        num_measured: images whose size was looked at.
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
        num: how many.
        example: the name of one.
    """

    num: Count
    example: str


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What the network sees of some images.

    Attributes:
        crop: left out where images have no boxes of their own.
        fit: None in files from before it was recorded.
        first_frames: left out where there are none.
    """

    crop: CropCounts | None = field(default=None, metadata=ONLY_IF_KNOWN)
    fit: FitCounts | None = field(default=None, metadata=ONLY_IF_KNOWN)
    first_frames: FirstFrames | None = field(default=None, metadata=ONLY_IF_KNOWN)
