"""Several sources as one, each of which may label only some of the tasks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from multitask.data.augment_settings import CoverSettings
from multitask.data.crop import AnyCrop
from multitask.data.fit import FitName
from multitask.data.samples import Queries, Samples
from multitask.data.sources.base import SOURCES, SourceSettings
from multitask.errors import UserError, nearest
from multitask.labels import JOINT, MISSING, LabelSpace
from multitask.settings import Bool, ConfigPath, Fraction, NonNegativeFloat, Settings
from multitask.utils.spelling import Name, identifier_problem, plural
from multitask.utils.strings import Strings

AnySingle = Annotated[SourceSettings, SOURCES.part(lambda row: not row.nests, default="table")]


class PartSettings(Settings):
    """One of several sources."""

    OF_SAMPLES: ClassVar = frozenset({"root", "source", "tasks"})
    """The settings that say which samples there are, and their labels; the others, what becomes of them in training."""

    root: ConfigPath
    source: AnySingle
    tasks: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Those that it labels; the others are missing in all its images. None: it labels all."""
    crop: AnyCrop | None = None
    """Of its images, where they are framed otherwise than the others'; None: ``data.crop``. Images to be answered are
    cropped and fitted as those of ``query_source``."""
    fit: FitName | None = None
    """Likewise; None: ``data.fit``."""
    strength: Fraction | None = None
    """Of the augmentation of its images; None: ``augment.strength``."""
    cover: CoverSettings = CoverSettings()
    """Over a part of its images in training, where it leaves out a task that is read from that part."""
    weights: dict[Name, Annotated[NonNegativeFloat, Field(le=1e6)]] = {}
    """By head, and ``joint``: how much its images count in that loss, times their own weights; 1 where none is given.
    Only the ratios of the sources matter."""


class SeveralSettings(SourceSettings):
    """Named sources, each with a root of its own; how often each is drawn is said by ``data.sampler``."""

    name: Literal["several"] = "several"
    nests: ClassVar[bool] = True
    sources: Annotated[dict[str, PartSettings], Field(min_length=2)]
    """By a name, which its images' paths begin with wherever they are told."""
    query_source: str | None = None
    """Whose layout the images to be answered are in; None: the target's, or the first one's."""
    target: str | None = None
    """The source whose images are to be answered in the end: its groups alone validate, test and are counted by
    ``train_groups``, those of the others only train. None: all sources validate alike."""
    shared_groups: Bool = False
    """Whether a group of one name in two sources is one group; else each source's groups are its own."""

    @model_validator(mode="after")
    def _check(self) -> SeveralSettings:
        for name in self.sources:
            if problem := identifier_problem(name):
                raise ValueError(f"sources: {problem}")
        for key in ("query_source", "target"):
            found = getattr(self, key)
            if found is not None and found not in self.sources:
                raise ValueError(f"{key}: there is no source {found!r}{nearest(found, self.sources)}")
        return self

    @property
    def says_sides(self) -> bool:
        """Whether the target has a validation split, or all of the sources where there is no target."""
        parts = self.sources.values() if self.target is None else [self.sources[self.target]]
        return all(part.source.says_sides for part in parts)

    @property
    def of_samples(self) -> SeveralSettings:
        """With sources that have a root, a layout and tasks, and nothing else."""
        sources = {
            name: PartSettings(**{key: getattr(part, key) for key in PartSettings.OF_SAMPLES})
            for name, part in self.sources.items()
        }
        return self.model_copy(update={"sources": sources})

    def validates(self, samples: Samples) -> NDArray[np.bool_] | None:
        """(N,) bool, the samples of the target; None where there is none."""
        return None if self.target is None else np.asarray(samples.sources == self.target)

    def own_names(self, names: Sequence[str]) -> list[str]:
        """Names of images or groups as a run on the target alone would have them; without one, on ``queried``."""
        prefix = f"{self.target or self.queried}/"
        return [str(name).removeprefix(prefix) for name in names]

    def check(self, space: LabelSpace) -> None:
        """Each source's tasks are the label space's, and every task is labelled by one of them."""
        unlabelled = {
            name: set(space.task_names) - set(part.tasks or space.task_names) for name, part in self.sources.items()
        }
        for name, part in self.sources.items():
            if part.cover.share and not unlabelled[name]:
                raise UserError(
                    f"sources.{name}.cover: would hide what a label is read from: the source labels all tasks; say by "
                    "tasks which it does, or leave the cover out"
                )
            for task in part.tasks or ():
                if task not in space.task_names:
                    near = nearest(task, space.task_names)
                    raise UserError(f"sources.{name}.tasks: labels.tasks has no task {task!r}{near}")
            for head, weight in part.weights.items():
                labelling = [
                    source for source, tasks in unlabelled.items() if not (tasks if head == JOINT else {head} & tasks)
                ]
                what, has = ("all labels", "has all labels") if head == JOINT else ("it", "labels it")
                key = f"sources.{name}.weights.{head}"
                if name not in labelling:
                    raise UserError(f"{key}: would be ignored: the source does not label {what}")
                if labelling == [name] and weight not in (0, 1):  # a loss is a mean by these weights
                    raise UserError(
                        f"{key}: would be ignored: no other source {has}, and only their ratios matter; for a "
                        f"loss of another weight set {head if head == JOINT else f'heads.{head}'}.weight"
                    )
            try:
                part.source.check(_labelled(space, part))
            except UserError as error:
                raise UserError(f"sources.{name}.source.{error}") from None
        for task in space.task_names:
            if all(task in tasks for tasks in unlabelled.values()):
                raise UserError(f"sources: none of them labels {task!r}")

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """The samples of all sources, one source after the other, each from its own root."""
        parts = {
            name: part.source.samples(Path(part.root), _labelled(space, part)) for name, part in self.sources.items()
        }
        for name, samples in parts.items():
            if (samples.labels == MISSING).all():
                raise UserError(
                    f"data.source.sources.{name}: labels nothing that is asked: none of its "
                    f"{plural(len(samples), 'image', 'images')} "
                    f"has a label of {', '.join(samples.space.task_names)}; leave it out"
                )
        return self._mixed(parts, space)

    def queries(self, root: Path) -> Queries:
        """The images under ``root`` that are to be answered, in the layout of ``query_source``."""
        return self.sources[self.queried].source.queries(root)

    def answered(self, root: Path, space: LabelSpace) -> Samples:
        """The images to be answered that ``query_source`` has in its own root."""
        name, part = self.queried, self.sources[self.queried]
        return self._mixed({name: part.source.answered(Path(part.root), _labelled(space, part))}, space)

    @property
    def queried(self) -> str:
        """The source whose layout and framing the images to be answered have."""
        return self.query_source or self.target or next(iter(self.sources))

    def _mixed(self, parts: dict[str, Samples], space: LabelSpace) -> Samples:
        def joined(column: str, unknown: Callable[[int], Any]) -> Any:
            """A column that some of the sources may lack, with ``unknown`` in its place there."""
            found = {name: getattr(samples, column) for name, samples in parts.items()}
            if all(values is None for values in found.values()):
                return None
            filled = [unknown(len(parts[name])) if values is None else values for name, values in found.items()]
            return Strings.concatenate(filled) if isinstance(filled[0], Strings) else np.concatenate(filled)

        roots = {name: samples.root for name, samples in parts.items()}
        mixed = Samples(
            space,
            Path(os.path.commonpath(roots.values())),
            Strings.concatenate([samples.images.prefixed(f"{name}/") for name, samples in parts.items()]),
            Strings.concatenate([self._groups(name, samples) for name, samples in parts.items()]),
            np.concatenate([_widened(samples, samples.labels, space, MISSING) for samples in parts.values()]),
            np.concatenate([_widened(samples, samples.numbers, space, np.nan) for samples in parts.values()]),
            np.concatenate([samples.weights for samples in parts.values()]),
            Strings.concatenate([Strings.repeated(name, len(samples)) for name, samples in parts.items()]),
            joined("ids", lambda num: Strings.repeated("", num)),
            joined("sides", lambda num: np.full(num, MISSING, dtype=np.int64)),
            joined("boxes", lambda num: np.full((num, 4), np.nan)),
            roots,
            tuple(f"{name}: {note}" for name, samples in parts.items() for note in samples.notes),
            sum((Counter(samples.other_files) for samples in parts.values()), Counter()),
            joined("eyes", lambda num: np.full((num, 4), np.nan)),
        )
        mixed.check_possible()
        return mixed

    def _groups(self, name: str, samples: Samples) -> Strings:
        return samples.groups if self.shared_groups else samples.groups.prefixed(f"{name}/")


def _labelled(space: LabelSpace, part: PartSettings) -> LabelSpace:
    """The label space of the tasks that a source labels."""
    return space if part.tasks is None else LabelSpace([task for task in space.tasks if task.name in part.tasks])


def _widened(samples: Samples, values: NDArray[Any], space: LabelSpace, unknown: float) -> NDArray[Any]:
    """(N, T') columns of some tasks as (N, T) of all."""
    wide = np.full((len(values), space.num_tasks), unknown, dtype=values.dtype)
    wide[:, [space.task_names.index(name) for name in samples.space.task_names]] = values
    return wide
