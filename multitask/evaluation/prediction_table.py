"""A table of predictions as columns: probabilities as numbers, all else as texts."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multitask.utils.files import check_regular


def read_table(path: Path) -> dict[str, NDArray[Any]]:
    """Column -> its (N,) values: probabilities as float64, all others as str.

    As texts the probabilities of many classes would take ten times the memory, and an image at a time they are exact.

    Raises:
        ValueError: a row is cut or too long, or a probability is none.
        KeyError: there is no header.
    """
    check_regular(path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        names = next(rows, [])
        is_prob = np.array([name.startswith("p(") for name in names], dtype=bool)
        texts: list[list[str]] = []
        probs: list[NDArray[np.float64]] = []
        for row in rows:
            if len(row) != len(names):
                raise ValueError(f"line {rows.line_num} holds {len(row)} values, the header names {len(names)}")
            texts.append([value for value, prob in zip(row, is_prob, strict=True) if not prob])
            probs.append(np.array([value for value, prob in zip(row, is_prob, strict=True) if prob], dtype=np.float64))
    values = np.array(probs).reshape(len(probs), is_prob.sum())
    if not ((values >= 0) & (values <= 1 + 1e-6)).all():
        raise ValueError("a probability is not between 0 and 1")
    found: dict[str, NDArray[Any]] = {}
    of_texts = iter(np.array(texts, dtype=object).reshape(len(texts), (~is_prob).sum()).T)
    of_probs = iter(values.T)
    for name, prob in zip(names, is_prob, strict=True):
        if name in found:
            raise ValueError(f"column {name!r} stands twice")
        found[name] = next(of_probs) if prob else next(of_texts)
    return found


def places_of(column: str, values: NDArray[Any], names: Sequence[str]) -> NDArray[np.int64]:
    """(N,) the places among C names of N values.

    Raises:
        ValueError: a value is not among the names; the line names the column.
    """
    found = pd.Index(names).get_indexer(pd.Index(values))
    if (found < 0).any():
        raise ValueError(f"{column} holds {values[int(np.argmax(found < 0))]!r}")
    return found.astype(np.int64)
