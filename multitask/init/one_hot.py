"""Labels that a table spells as a column of 0 and 1 for each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from multitask.init.layouts.base import Observed, Options
from multitask.init.words import clean
from multitask.utils.strings import Strings

_FEWEST = 3
"""Columns that are taken for one label; of two each says all that the other does."""


def joined_classes(observed: Observed, options: Options) -> Observed:
    """What a table says, with one label in place of columns of which exactly one is 1 in each row.

    Columns that the user names as labels stay what they are.
    """
    flags = {name: words for name, values in observed.columns.items() if _is_flag(words := clean(Strings.of(values)))}
    names = _one_of_each(flags)
    if not names or not {*options.labels, options.group}.isdisjoint(names):
        return observed
    rest = {name: values for name, values in observed.columns.items() if name not in names}
    label = "label" if "label" not in rest else "class"
    places = np.stack([flags[name] == "1" for name in names], axis=1).argmax(axis=1)
    column = Strings.of(names[place] for place in places.tolist())
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    assumed = f"the columns {shown} are one label, since exactly one of them is 1 in each row"
    return replace(observed, columns={label: column, **rest}, source=None, assumed=(*observed.assumed, assumed))


def _one_of_each(flags: Mapping[str, Strings]) -> list[str]:
    """The longest run of columns of which exactly one is 1 in each row; empty: there is none."""
    if len(flags) < _FEWEST:
        return []
    ones = np.stack([words == "1" for words in flags.values()], axis=1)
    totals = np.concatenate([[0], ones.sum(axis=0).cumsum()])
    for num in range(len(flags), _FEWEST - 1, -1):
        for start in range(len(flags) - num + 1):
            as_many = totals[start + num] - totals[start] == len(ones)  # before every row is looked at
            if as_many and (ones[:, start : start + num].sum(axis=1) == 1).all():
                return list(flags)[start : start + num]
    return []


def _is_flag(words: Strings) -> bool:
    return set(words.distinct()) == {"0", "1"}
