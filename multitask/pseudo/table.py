"""The table of pseudo-labels, which the ``table`` source reads."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import MISSING, LabelSpace
from multitask.pseudo.report_schema import read_report
from multitask.utils.files import write_csv

WEIGHT, SPLIT = "weight", "split"
_TRAIN = "train"


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """The labels that were given to M of N images.

    Attributes:
        space: the label space.
        paths: M absolute paths.
        groups: (M,) the group of each; None: it is on its own.
        labels: (M, T), ``MISSING`` where the head was not sure; of each image at least one is there.
        probs: (M, T) the calibrated probability of each, NaN where there is none.
        rounds: (M, T) the round in which the head first gave the image this label, 0 where there is none.
    """

    space: LabelSpace
    paths: tuple[str, ...]
    groups: tuple[str | None, ...]
    labels: IntArray
    probs: FloatArray
    rounds: IntArray

    @classmethod
    def of(
        cls,
        space: LabelSpace,
        paths: Sequence[str],
        groups: Sequence[str | None],
        labels: IntArray,
        probs: Mapping[str, FloatArray],
        number: int,
    ) -> PseudoLabels:
        """Those of N images that have a label, all given in round ``number``.

        Args:
            space: the label space.
            paths: N.
            groups: N.
            labels: (N, T), ``MISSING`` where the head was not sure.
            probs: per task, (N, C_t).
            number: of the round.
        """
        rows: list[int] = np.flatnonzero((labels != MISSING).any(axis=1)).tolist()
        labels = labels[rows]
        given = labels != MISSING
        chosen = np.stack(
            [probs[name][rows, np.maximum(labels[:, task], 0)] for task, name in enumerate(space.task_names)], axis=1
        )
        return cls(
            space,
            tuple(paths[row] for row in rows),
            tuple(groups[row] for row in rows),
            labels,
            np.where(given, chosen, np.nan),
            np.where(given, number, 0),
        )

    def __len__(self) -> int:
        return len(self.paths)

    def since(self, before: Mapping[str, Mapping[str, tuple[str, int]]]) -> PseudoLabels:
        """The same labels, of which those that an earlier table gave too keep its rounds.

        Args:
            before: path -> task -> the label's cell and its round, as of ``read_rounds``.
        """
        rounds = self.rounds.copy()
        for row, path in enumerate(self.paths):
            for task, name in enumerate(self.space.task_names):
                label = int(self.labels[row, task])
                was = before.get(path, {}).get(name)
                if was is not None and label != MISSING and was[0] == _cell(self.space, task, label):
                    rounds[row, task] = was[1]
        return replace(self, rounds=rounds)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that have a label."""
        given = (self.labels != MISSING).any(axis=0)
        return tuple(name for name, some in zip(self.space.task_names, given, strict=True) if some)


def root_of(table: Path, paths: Sequence[str]) -> str:
    """The folder that the table and all images are in."""
    return os.path.commonpath({os.path.dirname(os.path.abspath(table)), *map(os.path.dirname, paths)})


def columns_of(space: LabelSpace) -> dict[str, str]:
    """The columns of a table beside the tasks', by what they hold; none is a task's name."""
    return {name: f"{name} of image" if name in space.task_names else name for name in ("path", WEIGHT, SPLIT)}


def write_table(path: Path, found: PseudoLabels, weight: float, fingerprint: str) -> None:
    """Writes the table: path, group, a column for each task, empty where its head is not sure, and where each is from.

    A binned task's column holds the label's place, from 0, since the number behind it is not known.
    """
    write_csv(path, _rows(found, root_of(path, found.paths), weight, fingerprint))


def _rows(found: PseudoLabels, root: str, weight: float, fingerprint: str) -> Iterator[list[str]]:
    """The header, and a row for each image, made as they are written: there may be millions."""
    space, columns = found.space, columns_of(found.space)
    header = [columns["path"], "group", *space.task_names, columns[WEIGHT], columns[SPLIT]]
    header += [f"p({name})" for name in space.task_names] + [f"round({name})" for name in space.task_names]
    yield [*header, "run of labels"]
    for row, image in enumerate(found.paths):
        given = found.labels[row] != MISSING
        yield [
            os.path.relpath(image, root),
            os.path.relpath(image, root) if found.groups[row] is None else f"group {found.groups[row]}",
            *(
                _cell(space, task, int(label)) if label != MISSING else ""
                for task, label in enumerate(found.labels[row])
            ),
            f"{weight:g}",
            _TRAIN,
            *(f"{prob:.6f}" if there else "" for prob, there in zip(found.probs[row], given, strict=True)),
            *(str(number) if there else "" for number, there in zip(found.rounds[row], given, strict=True)),
            fingerprint,
        ]


def _cell(space: LabelSpace, task: int, label: int) -> str:
    settings = space.tasks[task]
    return str(label) if settings.kind == "binned" else settings.classes[label]


def read_rounds(path: Path) -> dict[str, dict[str, tuple[str, int]]]:
    """Path -> task -> the label's cell and its round, of a table of ``write_table``."""
    report = read_report(path)
    root = report.root
    found: dict[str, dict[str, tuple[str, int]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[os.path.join(root, row[report.columns["path"]])] = {
                name: (row[name], int(row[f"round({name})"])) for name in report.tasks if row[name]
            }
    return found
