"""The images of runs, whose labels are known or must stay unknown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.config import Config
from multitask.data.samples import Files
from multitask.inference.group_keys import group_key
from multitask.pseudo.config import source_of_table
from multitask.runs.config import TrainedRun
from multitask.runs.ensemble_parts import ensemble_parts
from multitask.utils.files import content_digest
from multitask.utils.strings import Strings, StringsBuilder
from multitask.utils.tar_files import size_of
from multitask.utils.texts import TEXTS_AT_ONCE


class OwnImages:
    """The images of runs: whoever trains, validates or tests has its label, or must have none.

    Args:
        configs: the runs'.
        table: whose images do not count, since it is to be written anew; None: all do.

    Raises:
        UserError: their data is not where it was.
    """

    def __init__(self, configs: Sequence[Config], table: Path | None = None) -> None:
        groups = StringsBuilder()
        self._files: list[_FilesBySize] = []
        for config in {config.data.model_dump_json(): config for config in configs}.values():
            config.data.check_roots("; whether unlabelled images are the run's own cannot be seen without its data")
            # As the source has them: what corrections and contradictions drop, the run knows all the same.
            samples = config.data.source.samples(Path(config.data.root), config.space())
            if table is not None and (name := source_of_table(config, table)):
                samples = samples.take(np.flatnonzero(samples.sources != name))
            names = iter(samples.groups)
            while some := list(islice(names, TEXTS_AT_ONCE)):
                groups.extend(map(group_key, config.data.source.own_names(some)))
            self._files.append(_FilesBySize(samples.paths()))
        self._groups = groups.build()
        self._digests: dict[int, set[bytes]] = {}

    @classmethod
    def of(cls, trained: TrainedRun, others: Sequence[Config] = (), table: Path | None = None) -> OwnImages:
        """Those of a run, of an ensemble's members all, and of other configs, but for a table's."""
        parts = ensemble_parts(trained) or [trained]
        return cls([*(part.config for part in parts), *others], table)

    def __contains__(self, path: Path) -> bool:
        """Whether a file is one of them, or a copy of one: by its content, which is read where the size is the same."""
        try:
            size = os.stat(path).st_size
        except OSError:
            return False
        if size not in self._digests:
            own = [file for files in self._files for file in files.of_size(size)]
            if not own:
                return False
            self._digests[size] = {content_digest(file) for file in own}
        return content_digest(path) in self._digests[size]

    def has_groups(self, keys: Strings) -> NDArray[np.bool_]:
        """(N,) whether there are images of these groups, given as of ``group_key`` and named as in one source."""
        codes = Strings.concatenate([keys, self._groups]).codes
        return np.isin(codes[: len(keys)], codes[len(keys) :])


class _FilesBySize:
    """Files to be found by their size; those that are not there are left out."""

    def __init__(self, files: Files) -> None:
        sizes = np.fromiter(map(_size, files), dtype=np.int64, count=len(files))
        self._files, self._order = files, np.argsort(sizes, kind="stable")
        self._sizes = sizes[self._order]

    def of_size(self, size: int) -> list[Path]:
        """Those of a size in bytes."""
        start, stop = np.searchsorted(self._sizes, [size, size + 1])
        return [self._files[int(place)] for place in self._order[start:stop]]


def _size(path: Path) -> int:
    """A file's size in bytes, -1 if it is not there."""
    try:
        return size_of(path)
    except OSError:
        return -1
