"""Links in a data root: those that stay inside are followed, those that lead out only by a setting."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from multitask.errors import UserError
from multitask.utils.spelling import find_file

_MANY = 16
"""Images of a folder that are looked at one by one."""
_AHEAD = 64
"""Entries of a folder that are looked at for each of its images that was."""
_LINKLESS = -1


class Links:
    """Checks where the links under a data root lead.

    Args:
        root: the data root, which may itself be reached by a link.
        outside: whether they may lead out of it.
        how: they may, as errors tell it.
    """

    def __init__(
        self,
        root: Path,
        outside: bool,
        how: str = "to follow such links, set links_outside: true in the source's settings",
    ) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._outside = outside
        self._how = how
        self._folders: dict[str, str] = {}
        self._asked: dict[str, int] = {}

    def check(self, path: str) -> str:
        """The target of a link.

        Raises:
            UserError: there is none, or it is outside of the root and may not be.
        """
        real = os.path.realpath(path)
        if not os.path.lexists(real) or os.path.islink(real):  # the latter: links in a circle
            raise UserError(f"{path}: is a link that leads to nothing ({os.readlink(path)}); mend or remove it")
        if not self._outside and not self._within(real):
            raise UserError(f"{path}: is a link that leads out of the data root {self._root} (to {real}); {self._how}")
        return real

    def leads_out(self, path: str) -> bool:
        """Whether a link leads out of the root and may not."""
        return not self._outside and not self._within(os.path.realpath(path))

    def _within(self, real: str) -> bool:
        return real == self._real_root or real.startswith(self._real_root.rstrip("/") + "/")

    def check_images(self, images: Iterable[str]) -> None:
        """Checks images by their paths relative to the root; one that is not there is for others to name.

        Raises:
            UserError: as of ``check``.
        """
        if self._outside:
            return
        for image in images:
            folder, _, name = image.rpartition("/")
            found = self._folders.get(folder)
            if found is None:
                found = self._folders[folder] = self._folder(folder)
            if self._without_links(found):
                continue
            path = f"{found}/{name}"
            try:
                os.readlink(path)  # a single look, of a million images
            except OSError as error:  # EINVAL: no link
                if error.errno == errno.ENOENT and os.path.isdir(found):
                    self._check_spelt_alike(image)
                continue
            self._check_file(path)

    def _without_links(self, folder: str) -> bool:
        """Whether it is known that a folder has no links, so that its images need no look each.

        It is looked through where many of its images are asked for: the more have been, the further.
        """
        asked = self._asked.get(folder, 0)
        if asked == _LINKLESS:
            return True
        asked = self._asked[folder] = asked + 1
        if asked < _MANY or asked.bit_count() > 1:
            return False
        try:
            with os.scandir(folder) as entries:
                seen = [entry.is_symlink() for entry in islice(entries, asked * _AHEAD)]
        except (FileNotFoundError, NotADirectoryError):
            seen = []
        except OSError:
            return False
        if any(seen) or len(seen) == asked * _AHEAD:
            return False
        self._asked[folder] = _LINKLESS
        return True

    def _folder(self, folder: str) -> str:
        path = find_file(self._root, folder) if folder else self._root
        self.check_folder(path)
        return str(path)

    def check_folder(self, folder: Path) -> None:
        """Checks a folder under the root, and those that it is in.

        Raises:
            UserError: as of ``check``, of the link among them that leads out.
        """
        if self._outside or not folder.is_dir() or self._within(os.path.realpath(folder)):
            return
        parts = folder.relative_to(self._root).parts
        for end in range(1, len(parts) + 1):
            part = self._root.joinpath(*parts[:end])
            if part.is_symlink():
                self.check(str(part))

    def _check_spelt_alike(self, image: str) -> None:
        found = find_file(self._root, image)
        if found.is_symlink():
            self._check_file(str(found))

    def _check_file(self, path: str) -> None:
        if os.path.exists(path):  # a link to nothing is a file that is not there
            self.check(path)
