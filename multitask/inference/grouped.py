"""Answers to groups: outputs are kept until those of all images are there, pooled, and decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import zip_longest

from multitask.errors import UserError
from multitask.inference.kept_outputs import AnsweredBatch, Computed, kept_outputs
from multitask.inference.promises import Promises
from multitask.inference.spec import InferenceSpec
from multitask.inference.stream import ImageInput


def answer_groups(
    spec: InferenceSpec,
    computed: Iterable[Computed],
    promises: Promises | None = None,
    of_groups: Promises | None = None,
) -> Iterator[AnsweredBatch]:
    """The predictions of images as members of their groups; those without a group are answered by themselves.

    Args:
        spec: the network's.
        computed: the batches of all images with their outputs; taken to the end before the first is answered.
        promises: of images without a group; None: none.
        of_groups: of the others, of the same coverage and risk.

    Returns:
        The same batches, in the same order.

    Raises:
        UserError: no task of the run is per group.
    """
    spec.for_groups()  # said before anything is computed
    with kept_outputs(spec, computed, grouped=True) as kept:
        yield from kept.answered(spec, promises, of_groups)


def grouped_inputs(inputs: Iterable[ImageInput], groups: Iterable[object]) -> Iterator[ImageInput]:
    """Images with their groups.

    Args:
        inputs: the images.
        groups: of each; None and NaN: it is on its own.

    Raises:
        UserError: there is not one for each image.
    """
    nothing = object()
    for item, group in zip_longest(inputs, groups, fillvalue=nothing):
        if item is nothing or group is nothing:
            which = "fewer" if group is nothing else "more"
            raise UserError(f"groups: must be one for each image, found {which}")
        assert isinstance(item, ImageInput)
        yield replace(item, group=None if group is None or group != group else str(group))  # NaN
