"""The images under a folder, with notes on other files that may be images: none is skipped silently."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from multitask.data.formats import MAGIC_BYTES, SUFFIXES, SUFFIXES_TEXT, UNREAD_SUFFIXES, sniff
from multitask.data.sources.links import Links
from multitask.data.sources.listed_images import ListedImages, NamesOfFolder
from multitask.errors import UserError

MAX_REVISITS = 1_000
"""Folders that links lead to a second time; more of them are a maze."""
MAX_SNIFFED = 1_000
"""Files of one suffix into which it looks before it takes all of that suffix for no images; where one of them was an
image it looks into every one."""

_OF_PROGRAMS = frozenset(
    (".cache", ".git", ".ipynb_checkpoints", ".thumbnails", ".trash", ".trashes", ".picasaoriginals")
)
"""Hidden folders that hold copies of images, or what was thrown away."""


@dataclass(frozen=True)
class Listing:
    """The files under a folder; hidden files and folders are skipped, and told of where they hold images.

    Attributes:
        images: by folder, in each by name, before those in the folders below.
        notes: warnings to be shown once: files that may be images and are not used, links that are not followed.
        others: how many files there are that are no images, by suffix.
    """

    images: ListedImages
    notes: tuple[str, ...]
    others: Mapping[str, int]


def list_images(folder: Path, links: Links) -> Listing:
    """Every image under a folder, by its suffix, in any case.

    Raises:
        UserError: there is no such folder, one in it cannot be read, a link may not be followed, or there are no
            images.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    links.check_folder(folder)
    walk = _Walk(folder, links)
    walk.visit("", os.path.realpath(folder), ())
    notes = tuple(walk.notes())
    if not len(walk.images):
        seen = f"; {notes[0]}" if notes else ""
        raise UserError(f"{folder}: holds no images ({SUFFIXES_TEXT}){seen}{_kept_in(walk.others)}")
    return Listing(walk.images, notes, dict(walk.others))


_HOLDERS = {
    ".tar": "unpack them; WebDataset shards are also read as they are, by the source webdataset",
    ".arrow": "name the folder of a Hugging Face dataset to `multitask init`, which writes its images to files",
    ".parquet": "`multitask init` writes images in them to files; of a table of paths name the file",
    ".zip": "unpack them",
    ".gz": "unpack them",
    ".tgz": "unpack them",
}
"""By suffix, what is to be done with files that may hold images."""


def _kept_in(others: Mapping[str, int]) -> str:
    """The end of a line on a folder without images: what may hold them; empty: nothing that is known."""
    for suffix, how in _HOLDERS.items():
        if num := others.get(suffix, 0):
            return f"; it has {num:,} {suffix} {'file' if num == 1 else 'files'}: {how}"
    return ""


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _may_be_missed(hidden: os.DirEntry[str]) -> bool:
    """Whether a hidden file is an image, or a hidden folder holds one, that no program has put there for itself."""
    if hidden.name.startswith("._") or hidden.name.lower() in _OF_PROGRAMS:
        return False
    if not _is_dir(hidden):
        return os.path.splitext(hidden.name)[1].lower() in SUFFIXES
    try:
        return any(os.path.splitext(name)[1].lower() in SUFFIXES for name in os.listdir(hidden.path))
    except OSError:
        return False


class _Walk:
    def __init__(self, top: Path, links: Links) -> None:
        self.images = ListedImages()
        self.others: Counter[str] = Counter()
        self._top = top
        self._links = links
        self._unread: dict[str, list[str]] = {}  # by what they are, those that may be images
        self._circular: list[str] = []
        self._visited: set[str] = set()
        self._num_revisits = 0
        self._num_sniffed: Counter[str] = Counter()  # by suffix
        self._may_be: set[str] = set()  # suffixes behind which images were found
        self._dangling: list[str] = []
        self._hidden: list[str] = []  # with images that somebody may miss

    def visit(self, where: str, real: str, above: tuple[str, ...]) -> None:
        """Lists a folder and those in it.

        Args:
            where: its path, relative to the top.
            real: the same without links.
            above: those that it is in, likewise.
        """
        if real in self._visited:
            self._num_revisits += 1
            if self._num_revisits > MAX_REVISITS:
                raise UserError(f"{self._top / where}: links lead to the same folders again and again; remove them")
        self._visited.add(real)
        below: list[tuple[str, str]] = []
        images, others = self._entries(where)
        for entry in others:
            is_link = entry.is_symlink()
            if is_link and self._is_other(entry):
                continue
            target = self._links.check(entry.path) if is_link else f"{real}/{entry.name}"
            inner = f"{where}/{entry.name}" if where else entry.name
            if not _is_dir(entry):
                self._file(inner, entry, images)
            elif target in (*above, real):
                self._circular.append(inner)
            else:
                below.append((inner, target))
        self.images.add(where, images)
        for inner, target in below:
            self.visit(inner, target, (*above, real))

    def _is_other(self, link: os.DirEntry[str]) -> bool:
        """Whether a link is to a file that is no image by its suffix, wherever it leads: nobody would use it."""
        suffix = os.path.splitext(link.name)[1].lower()
        if not suffix or suffix in SUFFIXES or suffix in UNREAD_SUFFIXES or _is_dir(link):
            return False
        if not os.path.exists(link.path):
            self._dangling.append(os.path.relpath(link.path, self._top))  # or a folder's, so it is told
            return True
        if self._links.leads_out(link.path):
            self.others[suffix] += 1
            return True
        return False

    def _entries(self, where: str) -> tuple[NamesOfFolder, list[os.DirEntry[str]]]:
        """The images in a folder, and whatever else is shown in it, by name: folders, links, other files."""
        images = NamesOfFolder()
        others: list[os.DirEntry[str]] = []
        hidden: list[os.DirEntry[str]] = []
        try:
            with os.scandir(self._top / where) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith("."):
                        hidden.append(entry)
                    elif name[name.rfind(".") :].lower() in SUFFIXES and entry.is_file(follow_symlinks=False):
                        images.add(name)
                    else:
                        others.append(entry)
        except OSError as error:
            raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from None
        missed = sorted(entry.name for entry in hidden if _may_be_missed(entry))
        self._hidden += [f"{where}/{name}" if where else name for name in missed]
        return images, sorted(others, key=lambda entry: entry.name)

    def _file(self, path: str, entry: os.DirEntry[str], images: NamesOfFolder) -> None:
        suffix = os.path.splitext(entry.name)[1].lower()
        if suffix in SUFFIXES:
            images.add(entry.name)
            return
        kind = suffix if suffix in UNREAD_SUFFIXES else self._sniffed(entry, suffix)
        if kind is None:
            self.others[suffix or "no suffix"] += 1
        else:
            self._unread.setdefault(kind, []).append(path)

    def _sniffed(self, entry: os.DirEntry[str], suffix: str) -> str | None:
        """The format of a file of another suffix, if it is that of an image."""
        if (self._num_sniffed[suffix] >= MAX_SNIFFED and suffix not in self._may_be) or not entry.is_file():
            return None
        self._num_sniffed[suffix] += 1
        try:
            with open(entry.path, "rb") as file:
                found = sniff(file.read(MAGIC_BYTES))
        except OSError:
            return None
        if found is None or found in ("HTML", "PDF", "BMP", "Git LFS pointer"):  # BM is how words begin, too
            return None
        self._may_be.add(suffix)
        return f"{found} with {'the suffix ' + suffix if suffix else 'no suffix'}"

    def notes(self) -> Iterator[str]:
        """The warnings, a sentence each."""
        for kind, names in sorted(self._unread.items()):
            many = "1 file may be an image and is" if len(names) == 1 else f"{len(names):,} files may be images and are"
            how = "give an image's suffix" if " with " in kind else "convert to PNG or JPEG"
            yield f"{self._top}: {many} not used ({kind}), as {names[0]}; {how}"
        if self._hidden:
            num = len(self._hidden)
            yield (
                f"{self._top}: {num:,} hidden {'file or folder' if num == 1 else 'files or folders'} with images "
                f"{'is' if num == 1 else 'are'} not used, as {self._hidden[0]}; a name that begins with a dot is hidden"
            )
        if self._dangling:
            told = f"{len(self._dangling):,} {'link leads' if len(self._dangling) == 1 else 'links lead'}"
            yield f"{self._top}: {told} to nothing, as {self._dangling[0]}"
        if self._circular:
            num = len(self._circular)
            yield (
                f"{self._top}: {num:,} {'link leads' if num == 1 else 'links lead'} back to a folder above and "
                f"{'is' if num == 1 else 'are'} not followed, as {self._circular[0]}"
            )
        if self._num_revisits:
            yield (
                f"{self._top}: {self._num_revisits:,} {'folder is' if self._num_revisits == 1 else 'folders are'} "
                "there a second time by links: their images count twice"
            )
