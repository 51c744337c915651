"""Layouts: the paths of images, and a column of words for everything that is said of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multitask.utils.strings import Strings


@dataclass(frozen=True)
class Options:
    """What the user says of the data.

    Attributes:
        pattern: of the paths of folders or images; None: it is found.
        labels: the columns of the labels; none: they are found.
        group: the column of the groups; None: it is found.
        images: the folder of a table's images; None: the table's own.
        room: where a layout that extracts may make a folder for images.
    """

    pattern: str | None = None
    labels: tuple[str, ...] = ()
    group: str | None = None
    images: Path | None = None
    room: Path | None = None


@dataclass(frozen=True)
class Observed:
    """What a layout says of N images.

    Attributes:
        root: the folder that the paths are relative to.
        images: N paths.
        columns: by name, a word for each image; empty: nothing is said of it.
        source: the ``data.source`` section by which the set can be read as it is, without what names labels, group and
            split; None: a table must be written.
        labels: the columns that are labels; none: they are to be found.
        group: the column of groups; None: it is to be found.
        split: likewise, with ``train``, ``val`` and ``test`` in any spelling.
        classes: of a column, its classes in order.
        edges: of a column of numbers, those of its classes; none: they are to be found.
        whole: whether the source knows labels, groups and split by itself, so that nothing names them to it.
        indices: columns in which the source finds class indices; here they hold names.
        partial: columns that some images lack in the source, which it would refuse; a table says nothing of these.
        by_split: the source's settings for the words of ``split`` that each side has, where it has no column for it.
        assumed: what was taken for granted, a sentence each.
        check: what the user should look at, likewise.
        said_by: the file that says all this; None: the path itself.
    """

    root: Path
    images: Strings | list[str]
    columns: Mapping[str, Strings | list[str]]
    source: Mapping[str, Any] | None
    labels: tuple[str, ...] = ()
    group: str | None = None
    split: str | None = None
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    whole: bool = False
    indices: tuple[str, ...] = ()
    partial: frozenset[str] = frozenset()
    by_split: Callable[[Mapping[str, Sequence[str]]], Mapping[str, Any]] | None = None
    assumed: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    said_by: Path | None = None

    @property
    def names_tasks(self) -> bool:
        """Whether the source itself calls tasks by the columns' names, as a pattern does."""
        return self.source is not None and self.source["name"] == "folders"


class Layout(ABC):
    """A way in which images and labels are stored, as it may be that of a path.

    Args:
        path: a folder or a file.
    """

    title: str
    """As the console calls it."""
    takes: frozenset[str] = frozenset()
    """Which of ``pattern`` and ``images`` it makes use of, of what the user may say."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def fits(self) -> bool:
        """Whether the path is of this layout: a look at names and at heads of files.

        Whoever must read more keeps it for ``observe``.
        """

    def extracts(self) -> bool:
        """Whether it writes the images under the path to files, in ``Options.room``, which is then their root."""
        return False

    @abstractmethod
    def observe(self, options: Options) -> Observed:
        """What it says of the images under the path, which fits.

        Raises:
            UserError: it is damaged, or has no images.
        """


LAYOUTS: dict[str, type[Layout]] = {}
"""The table of layouts; its rows stand in the package's ``__init__``. A path is of the first that fits."""
