"""Views of tables and images for the template of a data set's page."""

from __future__ import annotations

from dataclasses import dataclass

from multitask.reporting.html import EmbeddedImage


@dataclass(frozen=True)
class ClassRow:
    """A class, with groups and images in each split in turn."""

    name: str
    cells: list[int]


@dataclass(frozen=True)
class ClassesView:
    """All classes; below them what is not fully labelled, None where all is, and the sums. A long table scrolls."""

    rows: list[ClassRow]
    totals: list[int]
    unknown: list[int | None] | None
    long: bool


@dataclass(frozen=True)
class ShownImage:
    """An image with its name, its labels in words and what was measured of it."""

    image: str
    labels: str
    brightness: int
    sharpness: str
    src: str
    width: int
    height: int


@dataclass(frozen=True)
class LinkedView:
    """Groups that have images in common.

    Attributes:
        groups: the first few, each with its split.
        more: how many others there are.
        leak: whether they are on both sides of the split.
        differ: tasks whose labels differ although the image is the same.
        words: what they have in common.
        pairs: of images.
        captions: of each pair.
    """

    groups: list[str]
    more: int
    leak: bool
    differ: tuple[str, ...]
    words: str
    pairs: list[tuple[ShownImage, ShownImage]]
    captions: list[str]


@dataclass(frozen=True)
class FramedView:
    """An image whole, and as the network sees it."""

    image: str
    words: str
    whole: EmbeddedImage
    seen: EmbeddedImage


@dataclass(frozen=True)
class ExtremesRow:
    """The most extreme images of a kind, each with what was measured."""

    kind: str
    shown: list[tuple[ShownImage, str]]


@dataclass(frozen=True)
class MeanImage:
    """The mean image of a label, and of how many."""

    name: str
    num: str
    src: str
    width: int
    height: int


@dataclass(frozen=True)
class MeansView:
    """The mean images of a task's labels."""

    name: str
    shown: list[MeanImage]


@dataclass(frozen=True)
class SamplesRow:
    """Some images of a class, and how many there are."""

    name: str
    num: str
    shown: list[ShownImage]
