"""A table of garments and their prices, written and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from multitask.data.samples import Samples
from multitask.data.sources.table import TableSettings
from multitask.labels import LabelSpace, Task

SPACE = LabelSpace(
    [
        Task("garment", ("shirt", "skirt", "trousers")),
        Task("price", ("cheap", "dear"), "binned", (20.0,)),
    ]
)

ROWS = ["a.jpg,shirt,19.9", "b/c.jpg,skirt,20", "d.jpg,,"]


def write(root: Path, rows: list[str], header: str = "path,garment,price", name: str = "train.csv") -> None:
    (root / name).write_text("\n".join([header, *rows]) + "\n")


def read(root: Path, space: LabelSpace = SPACE, **settings: Any) -> Samples:
    return TableSettings.model_validate(settings).samples(root, space)
