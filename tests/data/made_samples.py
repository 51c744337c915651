"""Samples that are made up: the competition's proportions, and groups of any size with any labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from multitask.data.samples import Samples
from multitask.labels import LabelSpace, Task

SPACE = LabelSpace(
    [
        Task("mask", ("wear", "incorrect", "not_worn")),
        Task("gender", ("male", "female")),
        Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0)),
    ]
)


def people(num: int, seed: int = 0, missing: float = 0.0) -> Samples:
    """The competition's proportions: seven images a person, 7% of the people in the oldest band."""
    rng = np.random.default_rng(seed)
    groups: list[str] = []
    values: dict[str, list[Any]] = {"mask": [], "gender": [], "age": []}
    for person in range(num):
        gender = "male" if rng.random() < 0.4 else "female"
        age: int | None = int(rng.choice([20, 45, 60], p=[0.47, 0.46, 0.07]))
        if rng.random() < missing:
            age = None
        for mask in ["wear"] * 5 + ["incorrect", "not_worn"]:
            groups.append(f"person {person}")
            values["mask"].append(mask)
            values["gender"].append(gender)
            values["age"].append(age)
    return Samples.from_values(SPACE, Path("/"), [str(i) for i in range(len(groups))], groups, values, "test")


@st.composite
def tables(draw: st.DrawFn) -> Samples:
    """Groups of any size with any labels, some missing, in any order."""
    num = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    num_groups = draw(st.integers(1, num))
    space = LabelSpace([Task("a", ("0", "1")), Task("b", ("0", "1", "2"))])
    labels = np.stack([rng.integers(-1, 2, num), rng.integers(-1, 3, num)], axis=1)
    return Samples(
        space,
        Path("/"),
        np.array([str(index) for index in range(num)], dtype=object),
        np.array([f"g{group}" for group in rng.integers(0, num_groups, num)], dtype=object),
        labels,
        np.full(labels.shape, np.nan),
        np.ones(num, dtype=np.float32),
        np.full(num, "test", dtype=object),
    )
