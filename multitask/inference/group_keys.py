"""The groups of many images in a column of strings, in which an image without a group has its place."""

from __future__ import annotations

import numpy as np

from multitask.evaluation.metrics import IntArray
from multitask.utils.strings import Strings

ALONE = ""
"""The key of an image that is on its own."""


def group_key(group: str | None) -> str:
    """A group's key, from which ``group_of`` has its name; None: the image is on its own.

    >>> group_key("a"), group_key(None) == ALONE
    ('/a', True)
    """
    return ALONE if group is None else f"/{group}"


def group_of(key: str) -> str | None:
    """The group of a key; None: the image is on its own.

    >>> group_of(group_key("a")), group_of(ALONE)
    ('a', None)
    """
    return None if key == ALONE else key[1:]


def group_numbers(keys: Strings) -> IntArray:
    """(N,) numbers, one for each group of N images; one that is on its own is a group.

    >>> group_numbers(Strings.of(map(group_key, ["b", None, "a", "b", None]))).tolist()
    [1, 2, 0, 1, 3]
    """
    alone = np.flatnonzero(keys == ALONE)
    ranks, num = keys.ranks()
    numbers = ranks.astype(np.int64)
    if len(alone):
        numbers -= 1  # that of ALONE, which sorts before all keys
        as_texts = alone.astype(f"S{len(str(len(keys)))}")
        numbers[alone[np.argsort(as_texts)]] = np.arange(num - 1, num - 1 + len(alone))
    return numbers
