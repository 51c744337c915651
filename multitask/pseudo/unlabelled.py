"""The unlabelled images, answered by a run: those of the run itself are left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.calibration import marginals
from multitask.evaluation.metrics import FloatArray
from multitask.inference.inputs import NamedInputs
from multitask.inference.predictor import Predictor
from multitask.inference.prior_shift import group_numbers
from multitask.inference.stream import ImageInput, InputBatch
from multitask.labels import LabelSpace
from multitask.progress import Progress
from multitask.pseudo.config import source_of_table
from multitask.runs.config import TrainedRun
from multitask.runs.ensemble_parts import ensemble_parts
from multitask.utils.files import content_digest
from multitask.utils.tar_files import size_of


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """N images without labels and their calibrated probabilities.

    Attributes:
        paths: N absolute paths.
        groups: (N,) the group of each; None: it is on its own.
        pooled: (N,) bool, whether it was answered as a member of a group.
        class_probs: (N, C).
        num_own: how many more are the run's own images, and were left out.
        num_of_own_groups: how many more are of groups that the run knows, and were left out.
        num_unreadable: how many more could not be read.
    """

    paths: tuple[str, ...]
    groups: tuple[str | None, ...]
    pooled: NDArray[np.bool_]
    class_probs: FloatArray
    num_own: int
    num_of_own_groups: int
    num_unreadable: int

    def __len__(self) -> int:
        return len(self.paths)

    def probs(self, space: LabelSpace) -> dict[str, FloatArray]:
        """Per task, (N, C_t)."""
        return marginals(self.class_probs, space)

    def group_indices(self) -> NDArray[np.int64]:
        """(N,) the groups as numbers; an image without a group is one."""
        return group_numbers(self.groups)


class OwnImages:
    """The images of runs: whoever trains, validates or tests has its label, or must have none.

    Args:
        configs: the runs'.
        table: whose images do not count, since it is to be written anew; None: all do.

    Attributes:
        groups: the names of their groups, of those who are to be answered without the source's.

    Raises:
        UserError: their data is not where it was.
    """

    def __init__(self, configs: Sequence[Config], table: Path | None = None) -> None:
        self.groups: set[str] = set()
        self._by_size: dict[int, list[Path]] = {}
        for config in {config.data.model_dump_json(): config for config in configs}.values():
            config.data.check_roots("; whether unlabelled images are the run's own cannot be seen without its data")
            # As the source has them: what corrections and contradictions drop, the run knows all the same.
            samples = config.data.source.samples(Path(config.data.root), config.space())
            if table is not None and (name := source_of_table(config, table)):
                samples = samples.take(np.flatnonzero(samples.sources != name))
            self.groups |= set(config.data.source.own_names(samples.groups.tolist()))
            for path in samples.paths():
                with suppress(OSError):
                    self._by_size.setdefault(size_of(path), []).append(path)
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
        if size not in self._by_size:
            return False
        if size not in self._digests:
            self._digests[size] = {content_digest(own) for own in self._by_size[size]}
        return content_digest(path) in self._digests[size]


def answer_unlabelled(
    predictor: Predictor, inputs: NamedInputs, own: OwnImages, progress: Progress, batch_size: int | None = None
) -> Unlabelled:
    """Answers images but those of the run itself, and of groups that it knows.

    Raises:
        UserError: none is left, the run needs a box for each image, or the images have groups and no task is per group.
    """
    if predictor.needs_boxes:
        raise UserError(f"data.crop: the run crops by {predictor.spec.crop.reads} of each image, which these have not")
    for note in inputs.notes:
        progress.note(note)
    counts = _Counts()
    done = progress.answering(inputs.count)
    grouped = inputs.has_groups and predictor.spec.grouping is not None
    with closing(predictor.batches(_others(inputs, own, counts), batch_size)) as batches:
        computed = predictor.compute(_counted(batches, counts, done))
        answered = predictor.answer_groups(computed) if grouped else map(predictor.answer, computed)
        parts = [
            ([item for place, item in enumerate(batch.inputs) if place not in batch.errors], batch.predictions)
            for batch in answered
        ]
    items = [item for some, _ in parts for item in some]
    if not items:
        raise UserError(_nothing_left(inputs, counts))
    return Unlabelled(
        tuple(os.path.abspath(str(item.image)) for item in items),
        tuple(item.group for item in items),
        np.array([grouped and item.group is not None for item in items], dtype=bool),
        np.concatenate([predictions.class_probs for _, predictions in parts]),
        counts.own,
        counts.of_own_groups,
        counts.unreadable,
    )


@dataclass
class _Counts:
    own: int = 0
    of_own_groups: int = 0
    unreadable: int = 0


def _others(inputs: Iterable[ImageInput], own: OwnImages, counts: _Counts) -> Iterator[ImageInput]:
    """The images that are not the run's own nor of a group that it knows, each file once.

    A group is one of those by its name, or by an image that is the run's own: its others would train in the same folds
    as if they were of somebody else, and validate with them.
    """
    items: dict[str, ImageInput] = {}
    for item in inputs:
        items.setdefault(os.path.abspath(str(item.image)), item)
    known = {path for path in items if Path(path) in own}
    groups = own.groups | {group for path in known if (group := items[path].group) is not None}
    for path, item in items.items():
        if path in known:
            counts.own += 1
        elif item.group in groups:
            counts.of_own_groups += 1
        else:
            yield item


def _counted(batches: Iterable[InputBatch], counts: _Counts, done: object) -> Iterator[InputBatch]:
    assert callable(done)
    num = 0
    for batch in batches:
        counts.unreadable += len(batch.errors)
        yield batch
        num += len(batch.inputs)
        done(num)


def _nothing_left(inputs: NamedInputs, counts: _Counts) -> str:
    where = ", ".join(inputs.paths)
    if counts.unreadable:
        return f"{where}: no image can be read ({counts.unreadable:,} are damaged or no images)"
    groups = f", or of its groups ({counts.of_own_groups:,})" if counts.of_own_groups else ""
    num = counts.own + counts.of_own_groups
    return (
        f"{where}: all {num:,} images are the run's own{groups}, whose labels are known or must stay unknown; name "
        "images that it did not have"
    )
