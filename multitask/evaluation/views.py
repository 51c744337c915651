"""Test-time views: an image is answered several times, mirrored, shifted or scaled, and the answers are averaged.

The average of K views is softmax(1/K sum_k log p_k), with p_k the probabilities of view k: the geometric mean of these,
as of an ensemble's networks. It is the distribution that is nearest to all of theirs, by the mean of the
Kullback-Leibler divergences to them, and heads that are independent given the image stay so. It is taken head by head,
so that a task for which a view changes the label can do without it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from multitask.data.images import Pixels
from multitask.errors import UserError, nearest, quoted
from multitask.evaluation.metrics import FloatArray
from multitask.labels import LabelSpace
from multitask.settings import Settings, Table

SHIFT, SCALE = 0.04, 0.1
"""Of a side."""

UNCHANGED = ""
"""The name of the image as it is among its views."""


class ViewSettings(Settings):
    """A kind of view, which makes one or more of each image."""

    name: str

    @abstractmethod
    def of(self, images: Pixels) -> Iterator[Pixels]:
        """The views of images: each (B, H, W, 3), as they are."""


class FlipSettings(ViewSettings):
    """Left and right swapped; not where a class differs by them.

    >>> next(FlipSettings().of(np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3))).tolist()
    [[[[3, 4, 5], [0, 1, 2]]]]
    """

    name: Literal["flip"] = "flip"

    def of(self, images: Pixels) -> Iterator[Pixels]:
        """One view."""
        yield np.ascontiguousarray(images[:, :, ::-1])


class ShiftSettings(ViewSettings):
    """Moved by ``SHIFT`` of its side to the left, right, up and down; the edge is repeated."""

    name: Literal["shift"] = "shift"

    def of(self, images: Pixels) -> Iterator[Pixels]:
        """Four views."""
        height, width = images.shape[1:3]
        down, right = max(1, round(SHIFT * height)), max(1, round(SHIFT * width))
        for dx, dy in ((-right, 0), (right, 0), (0, -down), (0, down)):
            yield _moved(images, 1.0, dx, dy)


class ScaleSettings(ViewSettings):
    """Larger and smaller by ``SCALE``, about the centre; the edge is repeated."""

    name: Literal["scale"] = "scale"

    def of(self, images: Pixels) -> Iterator[Pixels]:
        """Two views."""
        height, width = images.shape[1:3]
        for factor in (1 + SCALE, 1 - SCALE):
            yield _moved(images, factor, (1 - factor) * (width - 1) / 2, (1 - factor) * (height - 1) / 2)


VIEWS: Table[ViewSettings] = Table("view", ViewSettings, default="flip")
"""The table of views."""
VIEWS.register(FlipSettings, ShiftSettings, ScaleSettings)


@dataclass(frozen=True)
class Views:
    """Views whose answers are averaged with the image's own.

    Attributes:
        kinds: rows of ``VIEWS``.
        excepted: pairs of a task and a view that it does without.
    """

    kinds: tuple[str, ...]
    excepted: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def parse(cls, kinds: Sequence[str], excepted: Sequence[str], space: LabelSpace, may_flip: bool) -> Views | None:
        """The views that are named.

        Args:
            kinds: rows of ``VIEWS``.
            excepted: each ``TASK:VIEW``.
            space: of the tasks.
            may_flip: whether the run's config lets left and right be swapped.

        Returns:
            None where none is named.

        Raises:
            UserError: one is unknown or stands twice, may not be made, or a task that does without it is unknown.

        >>> from multitask.labels import Task
        >>> space = LabelSpace([Task("hand", ("left", "right")), Task("ring", ("no", "yes"))])
        >>> views = Views.parse(["flip", "scale"], ["hand:flip"], space, may_flip=True)
        >>> views.name, views.of_head("hand", space), views.of_head("ring", space), views.of_head("joint", space)
        ('flip+scale-not-hand.flip', ('', 'scale'), ('', 'flip', 'scale'), ('', 'scale'))
        """
        for place, kind in enumerate(kinds):
            if kind not in VIEWS:
                raise UserError(f"views: unknown view {quoted(kind)}{nearest(kind, VIEWS)}")
            if kind in kinds[:place]:
                raise UserError(f"views: {kind} stands twice")
        if "flip" in kinds and not may_flip:
            raise UserError("views: flip: the run's config says that left and right may not be swapped (augment.flip)")
        pairs = []
        for text in excepted:
            task, _, kind = text.rpartition(":")
            if task not in space.task_names:
                raise UserError(f"views except {text}: unknown task {quoted(task)}{nearest(task, space.task_names)}")
            if kind not in kinds:
                raise UserError(f"views except {text}: {kind or 'nothing'} is not among the views; write TASK:VIEW")
            pairs.append((task, kind))
        for kind in kinds:
            if {(task, kind) for task in space.task_names} <= {*pairs}:
                raise UserError(f"views except: no task is left for {kind}; leave it out of the views")
        return cls(tuple(kinds), frozenset(pairs)) if kinds else None

    @property
    def name(self) -> str:
        """The views as a part of a file's name."""
        excepted = "".join(f"-not-{task}.{kind}" for task, kind in sorted(self.excepted))
        return "+".join(self.kinds) + excepted

    @property
    def num_answers(self) -> int:
        """How often an image is answered: as it is, and once for each view.

        >>> Views(("flip", "shift")).num_answers
        6
        """
        image = np.zeros((1, 8, 8, 3), dtype=np.uint8)
        return 1 + sum(1 for kind in self.kinds for _ in _kind(kind).of(image))

    @property
    def as_options(self) -> str:
        """The options of a command that name these views.

        >>> Views(("flip", "shift"), frozenset({("hand", "flip")})).as_options
        '--views flip,shift --views-except hand:flip'
        """
        excepted = [f"--views-except {task}:{kind}" for task, kind in sorted(self.excepted)]
        return " ".join([f"--views {','.join(self.kinds)}", *excepted])

    def of_head(self, head: str, space: LabelSpace) -> tuple[str, ...]:
        """The views that a head's answer is the average of; ``UNCHANGED`` is the image as it is.

        A head over whole classes, and a joint term, do without a view that any task does without.
        """
        tasks = (head,) if head in space.task_names else space.task_names
        dropped = {kind for task, kind in self.excepted if task in tasks}
        return (UNCHANGED, *(kind for kind in self.kinds if kind not in dropped))

    def answers(
        self, images: Pixels, compute: Callable[[Pixels], Mapping[str, FloatArray]], space: LabelSpace
    ) -> dict[str, FloatArray]:
        """The average over the views of the images.

        Args:
            images: (B, H, W, 3) uint8.
            compute: the network: (B, H, W, 3) to {head: (B, C_t) log-probabilities}.
            space: of the tasks.

        Returns:
            Per head, (B, C_t) log-probabilities.
        """
        sums = {head: values.astype(np.float64) for head, values in compute(images).items()}
        used = {head: self.of_head(head, space) for head in sums}
        counts = dict.fromkeys(sums, 1)
        for kind in self.kinds:
            for view in _kind(kind).of(images):
                for head, values in compute(view).items():
                    if kind in used[head]:
                        sums[head] += values
                        counts[head] += 1
        return {head: _normalised(values / counts[head]) for head, values in sums.items()}


def _kind(name: str) -> ViewSettings:
    return VIEWS[name].model_validate({})


def report_name(split: str, views: Views | None) -> str:
    """The name of the report and the predictions of a split, in a run's folder.

    >>> report_name("val", Views(("flip", "shift"))), report_name("val", None)
    ('val-flip+shift', 'val')
    """
    return split if views is None else f"{split}-{views.name}"


def _moved(images: Pixels, factor: float, dx: float, dy: float) -> Pixels:
    """Images scaled by a factor about the top left corner, then moved; the edge is repeated."""
    import cv2

    matrix = np.array([[factor, 0, dx], [0, factor, dy]], dtype=np.float64)
    size = (images.shape[2], images.shape[1])
    return np.stack(
        [cv2.warpAffine(np.ascontiguousarray(one), matrix, size, borderMode=cv2.BORDER_REPLICATE) for one in images]
    ).astype(np.uint8, copy=False)


def _normalised(log_probs: FloatArray) -> FloatArray:
    shifted = log_probs - log_probs.max(axis=1, keepdims=True)
    found: FloatArray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found
