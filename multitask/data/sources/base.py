"""Sources of samples: their base, and the checks that all share."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from multitask.data.samples import Queries, Samples
from multitask.data.sources.links import Links
from multitask.errors import UserError
from multitask.labels import LabelSpace
from multitask.settings import Bool, Settings, Table
from multitask.utils.files import absent


class SourceSettings(Settings):
    """The settings of a source, which read a folder of its layout."""

    name: str
    nests: ClassVar[bool] = False
    """Whether it is made of other sources; such a one is never part of another."""

    @property
    def says_sides(self) -> bool:
        """Whether the source itself has a validation split."""
        return False

    @property
    def of_samples(self) -> SourceSettings:
        """Without what changes neither which samples there are nor their labels: the default in its place."""
        return self

    def validates(self, samples: Samples) -> NDArray[np.bool_] | None:
        """(N,) bool, the samples that may validate and test; groups of the others only train. None: all."""
        return None

    def own_names(self, names: Sequence[str]) -> list[str]:
        """Names of images or groups as a run on the one source to be answered would have them: without its prefix."""
        return list(names)

    def check(self, space: LabelSpace) -> None:
        """Refuses settings that do not fit the label space, before any file is read.

        Raises:
            UserError: they do not fit it; the line begins with the setting's own key.
        """

    @abstractmethod
    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """The labelled samples under ``root``.

        Raises:
            UserError: something is missing, malformed or twice there; one line that names it.
        """

    @abstractmethod
    def queries(self, root: Path) -> Queries:
        """The images under ``root`` that are to be answered.

        Raises:
            UserError: their list or one of them is missing.
        """

    @abstractmethod
    def answered(self, root: Path, space: LabelSpace) -> Samples:
        """The images of ``queries`` with their true labels, where the answers are known.

        Raises:
            UserError: there are no answers, or they do not fit the queries.
        """


SOURCES: Table[SourceSettings] = Table("source", SourceSettings, default="competition")
"""The table of sources; its rows stand in the package's ``__init__``."""

AnySource = Annotated[SourceSettings, SOURCES]


class RootedSettings(SourceSettings):
    """A source that reads one folder, the data root."""

    links_outside: Bool = False
    """Whether links (symbolic ones) in the data root may lead out of it; those that stay inside are followed anyway."""

    def links(self, root: Path) -> Links:
        """The check of the links under a data root."""
        return Links(root, self.links_outside)


_PLAIN = re.compile(r"[^./\\:\0\s][^/\\:\0]*(/[^./\\:\0][^/\\:\0]*)*")
"""Paths that ``inside`` gives back as they are: all but a few, and to look closely at a million takes a minute."""


def inside(path: str, where: str) -> str:
    """``path`` in its plainest spelling (``./a//b/`` is ``a/b``), if it stays inside the folder it is relative to.

    Raises:
        UserError: it is empty, absolute, or leaves the folder; the line begins with ``where``.
    """
    if _PLAIN.fullmatch(path):
        return path
    parts = PurePosixPath(path).parts
    windows = PureWindowsPath(path)
    if not path.strip() or not parts or path.startswith(("/", "\\")) or windows.drive or "\0" in path:
        absolute = path.startswith(("/", "\\")) or windows.drive
        how = "; write it relative to the root" if absolute else ""
        raise UserError(f"{where}: must be a path inside the data root, found {path!r}{how}")
    if ".." in parts or ".." in windows.parts:
        raise UserError(f"{where}: leaves the data root: {path!r}")
    return "/".join(parts)


def check_there(paths: Iterable[Path], where: str) -> None:
    """Checks that there is a file at each path.

    Raises:
        UserError: one is missing; ``where`` is what names them.
    """
    missing = [path for path in paths if not os.path.isfile(path)]  # False, too, for a name too long to be one
    if missing:
        more = f" (and {len(missing) - 1} more of {where})" if len(missing) > 1 else ""
        raise absent(missing[0], f"no such file{more}")
