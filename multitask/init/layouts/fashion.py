"""Fashion Product Images: ``styles.csv``, whose last column holds commas that nobody quoted, and ``images/ID.jpg``."""

from __future__ import annotations

from pathlib import Path

from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.images import Images
from multitask.init.layouts.table import labels_assumed, of_rows
from multitask.utils.files import check_regular

COLUMNS = (
    "id", "gender", "masterCategory", "subCategory", "articleType", "baseColour", "season", "year", "usage",
    "productDisplayName",
)  # fmt: skip
LABELS = ("gender", "masterCategory", "season")
"""Of the eight: a product of few enough classes."""


class Fashion(Layout):
    """Kaggle's set, large or small."""

    title = "Fashion Product Images"
    takes = frozenset({"images"})

    def fits(self) -> bool:
        """Whether a folder holds ``styles.csv`` with its columns."""
        table = self.path / "styles.csv"
        if not table.is_file():
            return False
        with table.open(encoding="utf-8", errors="replace") as file:
            return tuple(file.readline().strip().split(",")) == COLUMNS

    def observe(self, options: Options) -> Observed:
        """The rows whose image is there."""
        table = self.path / "styles.csv"
        columns = _read(table)
        images = Images(options.images or self.path)
        _, found = images.leading({"id": columns["id"]}, table)
        return of_rows(
            table,
            columns,
            "id",
            found,
            images,
            None,
            labels=options.labels or LABELS,
            assumed=labels_assumed(LABELS, options, COLUMNS[1:-1]),
        )


def _read(path: Path) -> dict[str, list[str]]:
    check_regular(path)
    columns: dict[str, list[str]] = {name: [] for name in COLUMNS}
    try:
        with path.open(encoding="utf-8") as file:
            next(file)
            for number, line in enumerate(file, 2):
                if not line.strip():
                    continue
                cells = line.rstrip("\r\n").split(",", len(COLUMNS) - 1)
                if len(cells) != len(COLUMNS):
                    raise UserError(f"{path}, line {number}: must have {len(COLUMNS)} cells, found {len(cells)}")
                for name, cell in zip(COLUMNS, cells, strict=True):
                    columns[name].append(cell)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    if not columns["id"]:
        raise UserError(f"{path}: holds no rows")
    return columns
