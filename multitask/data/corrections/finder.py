"""The images that corrections are of, found by path, folder, group or id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from multitask.data.corrections.settings import DROP, Correction
from multitask.data.samples import Samples
from multitask.errors import UserError, nearest
from multitask.utils.spelling import canonical_path


class Finder:
    """An index of the samples by the paths, folders, groups and ids that corrections name."""

    def __init__(self, samples: Samples, corrections: Sequence[Correction]) -> None:
        self.samples = samples
        # Only what is asked for: of a million images all folders, groups and ids would fill the memory.
        asked = [_asked_path(row) for row in corrections]
        self._by_path: dict[str, list[int]] = {path: [] for path in asked if path}
        self._by_id: dict[str, list[int]] = {row.id: [] for row in corrections if row.id is not None}
        if self._by_path:
            for row, (image, group) in enumerate(zip(samples.images, samples.groups, strict=True)):
                for name in {group, *_and_folders(canonical_path(image))} & self._by_path.keys():
                    self._by_path[name].append(row)
        if self._by_id and samples.ids is not None:
            for row, name in enumerate(samples.ids):  # canonical, as groups are
                if name in self._by_id:
                    self._by_id[name].append(row)

    def rows(self, correction: Correction) -> NDArray[np.int64]:
        """The images of a correction; none where the data has none.

        Raises:
            UserError: the data has no ids, or this one is of several groups.
        """
        if correction.path is not None:
            return np.array(self._by_path[_asked_path(correction)], dtype=np.int64)
        assert correction.id is not None
        if self.samples.ids is None:
            raise UserError(f"{correction.about}: the data has no ids; name a path")
        rows = np.array(self._by_id[correction.id], dtype=np.int64)
        groups = sorted(set(self.samples.groups[rows]))
        if len(groups) > 1:
            raise UserError(
                f"{correction.about}: is of {len(groups):,} groups, {' and '.join(groups[:3])}; name a path"
            )
        return rows

    def lacking(self, correction: Correction, rows: NDArray[np.int64]) -> str | None:
        """The task, image or group of a correction that the data lacks, with the nearest that it has; or None."""
        fields = (*self.samples.space.task_names, DROP)
        if correction.field not in fields:
            return f"field {correction.field!r} is no task{nearest(correction.field, fields)}"
        if len(rows):
            return None
        if correction.id is not None:
            known = set() if self.samples.ids is None else set(self.samples.ids)
        else:
            known = set(self.samples.groups) | set(self.samples.images)
        return f"the data has no {correction.about}{nearest(str(correction.path or correction.id), known)}"


def _asked_path(correction: Correction) -> str:
    return canonical_path((correction.path or "").rstrip("/"))


def _and_folders(image: str) -> Iterator[str]:
    """An image's path and the paths of all folders above it."""
    while image:
        yield image
        image = image.rpartition("/")[0]
