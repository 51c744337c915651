"""The table of pseudo-labels, which the ``table`` source reads."""

from __future__ import annotations

import csv
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.inference.group_keys import group_of
from multitask.labels import MISSING, LabelSpace
from multitask.pseudo.report_schema import read_report
from multitask.utils.files import write_csv
from multitask.utils.strings import Strings, StringsBuilder

WEIGHT, SPLIT = "weight", "split"
_TRAIN = "train"


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """The labels that were given to M of N images.

    Attributes:
        space: the label space.
        paths: M absolute paths.
        groups: (M,) the group of each, as of ``group_key``.
        labels: (M, T), ``MISSING`` where the head was not sure; of each image at least one is there.
        probs: (M, T) the calibrated probability of each, NaN where there is none.
        rounds: (M, T) the round since which the head has given the image this label, 0 where there is none.
    """

    space: LabelSpace
    paths: Strings
    groups: Strings
    labels: IntArray
    probs: FloatArray
    rounds: IntArray

    @classmethod
    def of(
        cls,
        space: LabelSpace,
        paths: Strings,
        groups: Strings,
        labels: IntArray,
        probs: Mapping[str, FloatArray],
        number: int,
    ) -> PseudoLabels:
        """Those of N images that have a label, all given in round ``number``.

        Args:
            space: the label space.
            paths: (N,).
            groups: (N,).
            labels: (N, T), ``MISSING`` where the head was not sure.
            probs: per task, (N, C_t).
            number: of the round.
        """
        rows = np.flatnonzero((labels != MISSING).any(axis=1))
        labels = labels[rows]
        given = labels != MISSING
        chosen = np.stack(
            [probs[name][rows, np.maximum(labels[:, task], 0)] for task, name in enumerate(space.task_names)], axis=1
        )
        return cls(
            space,
            paths[rows],
            groups[rows],
            labels,
            np.where(given, chosen, np.nan),
            np.where(given, number, 0),
        )

    def __len__(self) -> int:
        return len(self.paths)

    def since(self, before: EarlierLabels) -> PseudoLabels:
        """The same labels, of which those that an earlier table gave too keep its rounds."""
        codes = Strings.concatenate([self.paths, before.paths]).codes
        ours, theirs = codes[: len(self)], codes[len(self) :]
        row_of = np.full(int(codes.max()) + 1, -1)
        row_of[theirs] = np.arange(len(theirs))
        rows = row_of[ours]
        same = (rows >= 0)[:, None] & (self.labels != MISSING) & (self.labels == before.labels[rows])
        return replace(self, rounds=np.where(same, before.rounds[rows], self.rounds))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that have a label."""
        given = (self.labels != MISSING).any(axis=0)
        return tuple(name for name, some in zip(self.space.task_names, given, strict=True) if some)


@dataclass(frozen=True, eq=False)
class EarlierLabels:
    """The labels of an earlier table, and when they were given; attributes as of ``PseudoLabels``."""

    paths: Strings
    labels: IntArray
    rounds: IntArray


def root_of(table: Path, paths: Iterable[str]) -> str:
    """The folder that the table and all images, given by absolute paths, are in.

    >>> root_of(Path("/set/labels.csv"), ["/set/a/1.jpg", "/set/b/2.jpg"])
    '/set'
    >>> root_of(Path("/set/labels.csv"), ["/sets/a/1.jpg"])
    '/'
    """
    root = os.path.dirname(os.path.abspath(table))
    for path in paths:
        if not path.startswith(root.rstrip("/") + "/"):
            root = os.path.commonpath([root, os.path.dirname(path)])
    return root


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
    for row, (path, key) in enumerate(zip(found.paths, found.groups, strict=True)):
        given = found.labels[row] != MISSING
        image, group = os.path.relpath(path, root), group_of(key)
        yield [
            image,
            image if group is None else f"group {group}",
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


def read_rounds(path: Path, space: LabelSpace) -> EarlierLabels:
    """The labels of a table of ``write_table``, of the same tasks."""
    report = read_report(path)
    labels_of = [
        {_cell(space, place, label): label for label in range(task.num_classes)}
        for place, task in enumerate(space.tasks)
    ]
    paths, labels, rounds = StringsBuilder(), array("q"), array("q")
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            paths.extend([os.path.join(report.root, row[report.columns["path"]])])
            for name, known in zip(space.task_names, labels_of, strict=True):
                labels.append(known.get(row[name], MISSING))
                rounds.append(int(row[f"round({name})"] or 0))
    shape = (-1, space.num_tasks)
    return EarlierLabels(paths.build(), np.array(labels).reshape(shape), np.array(rounds).reshape(shape))
