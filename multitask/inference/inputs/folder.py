"""A folder of images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from multitask.data.sources.links import Links
from multitask.data.sources.listing import list_images
from multitask.errors import UserError
from multitask.inference.inputs.base import InputKind, InputOptions
from multitask.inference.stream import ImageInput


class ImageFolder(InputKind):
    """Every image under a folder, by its suffix, in the order of their paths; what is hidden is skipped."""

    def __init__(self, path: str, options: InputOptions) -> None:
        super().__init__(path, options)
        listing = list_images(Path(path), _AllLinks(Path(path), outside=True))
        self._images = listing.images
        self.count = len(self._images)
        self.notes = (*listing.notes, *others_note(path, listing.others))

    @classmethod
    def fits(cls, path: str) -> bool:
        """Whether it is a folder."""
        return os.path.isdir(path)

    def __iter__(self) -> Iterator[ImageInput]:
        for image in self._images.paths():
            path = os.path.join(self.path, image)
            yield ImageInput(path, Path(path))


class _AllLinks(Links):
    """Links that may lead anywhere; whoever opens an image is told that its link leads to nothing."""

    def check(self, path: str) -> str:
        try:
            return super().check(path)
        except UserError:
            return path


def others_note(path: str, others: Mapping[str, int]) -> Iterable[str]:
    """A note on files that are no images by their suffix; none where there are no such files.

    Args:
        path: under which they are.
        others: their number by suffix.
    """
    if not others:
        return
    num = sum(others.values())
    most = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in most[:5])
    more = ", ..." if len(most) > 5 else ""
    yield f"{path}: {num:,} {'file is no image' if num == 1 else 'files are no images'} by the suffix ({kinds}{more})"
