"""The images that several paths name, as one stream."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from multitask.errors import UserError
from multitask.inference.inputs.base import INPUTS, InputOptions
from multitask.inference.inputs.image import OneImage
from multitask.inference.inputs.path_list import STDIN
from multitask.inference.stream import ImageInput


class NamedInputs:
    """The images of several paths, one path after the other; what is named twice is there twice.

    What is of no kind is taken for an image, and if it is none, whoever opens it says so.

    Args:
        paths: as the user wrote them.
        options: how they are read.

    Attributes:
        paths: as given.
        count: of all images; None: nobody knows.
        has_groups: whether images may have a group.
        all_grouped: whether every image has one.
        has_boxes: whether images may have a box.

    Raises:
        UserError: a path is missing, malformed or stands for no image; an option would be ignored.
    """

    def __init__(self, paths: Sequence[str], options: InputOptions) -> None:
        if options.groups_by_folder and options.group_column is not None:
            raise UserError("--groups-by-folder and --group-column: groups are the one or the other")
        if list(paths).count(STDIN) > 1:
            raise UserError("-: standard input can be read once only")
        self.paths = tuple(paths)
        self._options = options
        chosen = [next((kind for kind in INPUTS.values() if kind.fits(path)), OneImage) for path in paths]
        if not any(kind.tabular for kind in chosen):
            _check_no_columns(options)
        self._inputs = [kind(path, options) for kind, path in zip(chosen, paths, strict=True)]
        counts = [inputs.count for inputs in self._inputs]
        known = [count for count in counts if count is not None]
        self.count = sum(known) if len(known) == len(counts) else None
        self.has_groups = options.groups_by_folder or options.group_column is not None
        self.all_grouped = options.groups_by_folder
        self.has_boxes = options.box_columns is not None

    @property
    def notes(self) -> Iterator[str]:
        """Notes to be shown once."""
        for inputs in self._inputs:
            yield from inputs.notes

    def __iter__(self) -> Iterator[ImageInput]:
        for inputs in self._inputs:
            for item in inputs:
                yield replace(item, group=os.path.dirname(item.name) or ".") if self._options.groups_by_folder else item


def _check_no_columns(options: InputOptions) -> None:
    """Refuses options that name columns where no path is a table."""
    default = InputOptions()
    for key in ("path_column", "group_column", "box_columns"):
        if getattr(options, key) != getattr(default, key):
            raise UserError(
                f"--{key.replace('_', '-')}: would be ignored: none of the paths is a table (.csv, .tsv, .parquet)"
            )
