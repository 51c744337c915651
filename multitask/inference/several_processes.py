"""A job over several processes: which images each of them computes, and whether all do the same job."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from multitask.inference.stream import ImageInput
from multitask.utils.ranks import Ranks

if TYPE_CHECKING:
    from multitask.inference.predictor import Predictor


def own_inputs(inputs: Iterable[ImageInput], batch_size: int, here: Ranks) -> Iterator[ImageInput]:
    """Those that this process computes: every ``size``-th batch, so that each batch is one of a single process.

    >>> from pathlib import Path
    >>> inputs = [ImageInput(str(number), Path()) for number in range(7)]
    >>> [item.name for item in own_inputs(inputs, 2, Ranks(1, 2))]
    ['2', '3', '6']
    """
    return (item for place, item in enumerate(inputs) if place // batch_size % here.size == here.rank)


def check_job(predictor: Predictor, inputs: Iterable[ImageInput], settings: str, here: Ranks) -> None:
    """Checks that all processes answer the same images, with the same run and by the same settings.

    Raises:
        UserError: one does not; it names the rank.
    """
    if here.size == 1:
        return
    from multitask.runs.several_processes import DATA, SETTINGS, check_alike  # and with it torch

    digest = hashlib.blake2b(digest_size=16)
    for item in inputs:
        box = None if item.box is None else item.box.tolist()
        digest.update(repr((item.name, item.group, box, str(item.error or ""))).encode())
    engine = predictor.engine.identity
    check_alike({SETTINGS: settings, "run or engine": engine, DATA: digest.hexdigest()}, here)
