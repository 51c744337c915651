"""Samples from a table: a CSV or Parquet file with a path column and a column for every task."""

from __future__ import annotations

import codecs
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from multitask.data.samples import Files, Queries, Samples
from multitask.data.sources.base import RootedSettings, check_there, inside
from multitask.data.sources.split_words import SplitWords
from multitask.data.sources.table_rows import TableRows
from multitask.data.sources.table_settings import Column, ColumnSettings, check_tasks
from multitask.labels import LabelSpace
from multitask.settings import ConfigPath
from multitask.utils.spelling import find_file

FILES = (".csv", ".tsv", ".parquet")


class TableSettings(RootedSettings):
    """A CSV or Parquet file with a row for every image; an empty cell is an unknown label."""

    name: Literal["table"] = "table"
    file: str = "train.csv"
    """The table, in the data root; ``.csv``, ``.tsv`` or ``.parquet``."""
    table: Annotated[ConfigPath | None, Field(exclude_if=lambda path: path is None)] = None
    """The table where it is not in the data root, in place of ``file``; its paths are relative to the data root all
    the same."""
    query_file: str = "queries.csv"
    """A table of the images to be answered, in the data root; where their answers are known, those and groups too."""
    delimiter: Literal[",", ";", "\t", "|"] = ","
    """The separator of a CSV file's cells."""
    encoding: str = "utf-8"
    """Of a CSV file that does not say it by a byte order mark, as ``cp1252`` or ``cp949``."""
    path: Column = "path"
    """The column of the images' paths, relative to the data root."""
    tasks: dict[str, ColumnSettings] = {}
    """The columns and the spelling of each task's labels; a task that is not named has class names (a binned one
    numbers) in a column of its own name."""
    group: Column | None = None
    """The column that says which images must stay together; None: each is on its own."""
    id: Column | None = None
    """A column by which corrections may find images."""
    weight: Column | None = None
    """The column of how much each image counts in the loss: a number of at least 0; only the ratios matter."""
    split: Column | None = None
    """The column that says of each image whether it trains, validates or tests, in place of a random split."""
    splits: SplitWords = SplitWords()
    """The words in the column."""
    box: tuple[Column, Column, Column, Column] | None = None
    """The columns of left, top, right and bottom of what matters in each image, in pixels; all empty: unknown."""

    eyes: tuple[Column, Column, Column, Column] | None = None
    """The columns of x and y of the face's right eye (left in the image), then of the left one, in pixels; all empty:
    unknown. The crop ``align`` turns and scales by them."""

    @model_validator(mode="after")
    def _check(self) -> TableSettings:
        for key in ("file", "query_file"):
            file = inside(getattr(self, key), key)
            if not file.lower().endswith(FILES):
                raise ValueError(f"{key}: must end in {', '.join(FILES[:-1])} or {FILES[-1]}, found {file!r}")
        if self.table is not None:
            if "file" in self.model_fields_set and self.file != type(self).model_fields["file"].default:
                raise ValueError(f"file: {self.file!r} would be ignored beside table; leave one out")
            if not self.table.lower().endswith(FILES):
                raise ValueError(f"table: must end in {', '.join(FILES[:-1])} or {FILES[-1]}, found {self.table!r}")
        if self._labelled_file.lower().endswith(".parquet") and self.query_file.lower().endswith(".parquet"):
            for key in ("delimiter", "encoding"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"{key}: {getattr(self, key)!r} would be ignored: a Parquet file says itself")
        if self.split is None and self.splits != SplitWords():
            raise ValueError("splits: would be ignored, since split names no column")
        try:
            "".encode(self.encoding)
            codecs.lookup(self.encoding)
        except (LookupError, ValueError):
            raise ValueError(f"encoding: must be one that Python knows, as cp1252, found {self.encoding!r}") from None
        return self

    @property
    def _labelled_file(self) -> str:
        return self.table or self.file

    @property
    def says_sides(self) -> bool:
        """Whether there is a split column with words for validation."""
        return self.split is not None and self.splits.says_val

    def check(self, space: LabelSpace) -> None:
        """Refuses tasks that the label space lacks, and numbers from two columns."""
        check_tasks(self.tasks, space)

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        """The rows of ``file``, in its order."""
        rows = TableRows(root, self._labelled_file, self._columns(space), self, space)
        samples = rows.samples(root, space)
        if self.split is not None:
            samples = replace(samples, sides=rows.sides_by_group())
        samples.check_possible()
        return samples

    def queries(self, root: Path) -> Queries:
        """The rows of ``query_file``, in its order."""
        columns = [self.path, *(self.box or ()), *(self.eyes or ())]
        rows = TableRows(root, self.query_file, columns, self, None)
        self.links(root).check_images(rows.images)
        paths = Files(rows.images, partial(find_file, root))
        check_there(paths, str(rows.table))
        return Queries(rows.images, paths, self.path, "names", rows.box_array(), eyes=rows.eye_array())

    def answered(self, root: Path, space: LabelSpace) -> Samples:
        """The rows of ``query_file``, which must have the columns of labels and groups too."""
        settings = self.model_copy(update={"weight": None, "split": None, "splits": SplitWords()})
        rows = TableRows(root, self.query_file, settings._columns(space), settings, space)
        samples = rows.samples(root, space)
        samples.check_possible()
        return samples

    def _columns(self, space: LabelSpace) -> list[str]:
        """The columns that a table with labels must have."""
        of_tasks = [self.tasks.get(name, ColumnSettings()) for name in space.task_names]
        named = [settings.column or name for name, settings in zip(space.task_names, of_tasks, strict=True)]
        numbers = [settings.number for settings in of_tasks]
        others = [self.group, self.id, self.weight, self.split, *(self.box or ()), *(self.eyes or ())]
        return [self.path, *named, *(column for column in (*numbers, *others) if column is not None)]
