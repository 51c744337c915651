"""FairFace: two tables, of those who train and those who validate."""

from __future__ import annotations

from multitask.data.samples import SIDES
from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.images import Images
from multitask.init.layouts.table import of_rows, read_columns

AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")


class FairFace(Layout):
    """``fairface_label_train.csv`` and ``fairface_label_val.csv``: file, age (ranges), gender, race."""

    title = "FairFace"
    takes = frozenset({"images"})

    def fits(self) -> bool:
        """Whether the tables are in a folder."""
        return self.path.is_dir() and (self.path / "fairface_label_train.csv").is_file()

    def observe(self, options: Options) -> Observed:
        """The rows of both tables, whose split is the set's own."""
        columns: dict[str, list[str]] = {name: [] for name in ("file", "age", "gender", "race", "split")}
        for side in SIDES:
            table = self.path / f"fairface_label_{side}.csv"
            if not table.is_file():
                continue
            read, _ = read_columns(table)
            for name in ("file", "age", "gender", "race"):
                if name not in read:
                    raise UserError(f"{table}: has no column {name!r}, which FairFace's tables have")
                columns[name] += read[name]
            columns["split"] += [side] * len(read["file"])
        images = Images(options.images or self.path)
        column, found = images.leading({"file": columns["file"]}, self.path / "fairface_label_train.csv")
        ages = {"age": AGES} if {*columns["age"]} <= {*AGES, ""} else {}
        return of_rows(
            self.path / "fairface_label_train.csv",
            columns,
            column,
            found,
            images,
            None,
            labels=("age", "gender", "race"),
            split="split",
            classes=ages,
            assumed=("the tables of train and val are FairFace's own split",),
        )
