"""Kinds of inputs: what a path on the command line stands for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from multitask.inference.stream import ImageInput


@dataclass(frozen=True)
class InputOptions:
    """How inputs are read.

    Attributes:
        path_column: of tables: the images' paths, relative to the table's folder.
        group_column: of tables: the images' groups; None: each image is on its own.
        box_columns: of tables: left, top, right and bottom of each image's box, in pixels; None: there are no boxes.
        groups_by_folder: whether the images of a folder are a group.
        skip_unreadable: whether a row of a table without a path, or with a box that is none, is an image that cannot be
            read; else it is an error.
    """

    path_column: str = "path"
    group_column: str | None = None
    box_columns: tuple[str, str, str, str] | None = None
    groups_by_folder: bool = False
    skip_unreadable: bool = False


class InputKind(ABC):
    """The images that a path stands for. Iterated, they are made one by one, so that there may be millions.

    Whatever can be known without opening an image is checked when it is made.

    Args:
        path: as the user wrote it.
        options: how it is read.

    Attributes:
        path: as given.
        count: how many images it stands for; None: nobody knows before the last.
        notes: to be shown once, as on files that are passed over.

    Raises:
        UserError: it is missing, malformed, or stands for no image.
    """

    tabular: bool = False
    """Whether it has columns, which options name."""

    def __init__(self, path: str, options: InputOptions) -> None:
        self.path = path
        self.options = options
        self.count: int | None = None
        self.notes: tuple[str, ...] = ()

    @classmethod
    @abstractmethod
    def fits(cls, path: str) -> bool:
        """Whether a path is of this kind; a look at its name, and at most at what there is of that name."""

    @abstractmethod
    def __iter__(self) -> Iterator[ImageInput]:
        """The images, in an order that is the same each time."""


INPUTS: dict[str, type[InputKind]] = {}
"""The table of kinds, by name; its rows stand in the package's ``__init__``. A path is of the first that fits."""
