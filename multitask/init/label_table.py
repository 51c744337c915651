"""The table of labels that is written beside a proposed config."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import numpy as np

from multitask.data.sources.table_rows import MISSING_GROUPS
from multitask.init.located import Located
from multitask.init.roles import Roles
from multitask.init.tasks import FoundTask
from multitask.labels import MISSING
from multitask.utils.strings import Strings


def label_table(
    images: Strings | Sequence[str], tasks: Sequence[FoundTask], roles: Roles, located: Located | None
) -> str:
    """A row for each image with the columns that the config reads, as CSV.

    Args:
        images: N paths.
        tasks: a column each.
        roles: the columns of groups and of the split, where there are such.
        located: the box or the eyes of each image; None: there are none.
    """
    group, split = roles.group, roles.split
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    extra = [*(["group"] if group else []), *(["split"] if split else []), *(located.written if located else ())]
    writer.writerow(["path", *(task.name for task in tasks), *extra])
    columns: list[Iterable[str]] = [_label_words(task, roles) for task in tasks]
    if group:
        groups = zip(roles.words[group], images, strict=True)
        columns.append([image if not name or name in MISSING_GROUPS else name for name, image in groups])
    if split:
        columns.append(roles.words[split])
    if located is not None:
        columns += [
            ["" if np.isnan(place) else f"{place:.12g}" for place in places] for places in located.values.T.tolist()
        ]
    writer.writerows(zip(images, *columns, strict=True))
    return out.getvalue()


def _label_words(task: FoundTask, roles: Roles) -> Sequence[str]:
    """The names of a task's labels, or the numbers of a binned one; empty where unknown."""
    if task.kind != "binned":
        return [task.classes[label] if label != MISSING else "" for label in task.labels]
    words = zip(roles.words[task.column], task.labels, strict=True)
    return [word if label != MISSING else "" for word, label in words]
