"""The ``data.corrections`` section, and the corrections in the files that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from multitask.data.sources.csv_file import read_csv
from multitask.errors import UserError
from multitask.settings import Bool, ConfigPath, Settings, validate
from multitask.settings.yaml_text import read_yaml
from multitask.utils.spelling import Name

Tier = Literal["strong", "medium", "weak", "contested"]
TIERS: tuple[Tier, ...] = ("strong", "medium", "weak", "contested")
"""Tiers of confidence in a correction, the highest first."""

DROP = "drop"
"""The field of a correction that takes images out."""

Text = Annotated[
    Name,
    BeforeValidator(
        lambda value: str(value) if isinstance(value, float) else value, json_schema_input_type=str | float
    ),
]
"""A number is what it is written as."""
Words = Annotated[Name, Field(min_length=1)]


class CorrectionsSettings(Settings):
    """The ``data.corrections`` section."""

    files: Annotated[tuple[ConfigPath, ...], Field(min_length=1)]
    """YAML files of corrections, applied in this order."""
    tier: Tier = "strong"
    """The lowest that is applied; those above it are too."""
    missing: Literal["error", "ignore"] = "error"
    """The treatment of a correction whose images or task the data lacks; ignore: the data is known to be a part."""
    test: Bool = False
    """Whether images that the source says test are corrected too; else their labels stay those of the source."""


class Correction(Settings):
    """One correction.

    With a path or id of several images it is of those among them that have the label ``from``. All corrections look
    at the labels as the source gives them, so that none depends on another.
    """

    path: Words | None = None
    """An image's path, a folder's, or a group's name."""
    id: Text | None = None
    """The source's id of the image, or of its group; it must be of one group."""
    field: Words
    """The task whose label is wrong; or ``drop``."""
    from_: Annotated[Text | None, Field(alias="from")] = None
    """The label that is there: a class name; of a binned task a number, or a range: ``<30``, ``>=30``, ``30-60``."""
    to: Text | None = None
    """The right one, likewise; a range must lie inside one class, and leaves the number unknown."""
    both: bool = False
    """Whether ``to`` is wrong too, and ``from`` the right one: the two were swapped."""
    reason: Words
    source: Words
    """Where the correction comes from."""
    tier: Tier

    @model_validator(mode="after")
    def _check(self) -> Correction:
        if (self.path is None) == (self.id is None):
            raise ValueError("path: must be given, or id, and not both")
        if self.field == DROP and (self.from_ is not None or self.to is not None or self.both):
            raise ValueError("field: drop takes images out; from and to would be ignored")
        if self.field != DROP and (self.from_ is None or self.to is None):
            raise ValueError("from: must be given, and to, unless field is drop")
        if self.from_ is not None and self.from_ == self.to:
            raise ValueError(f"to: is what from is, {self.to!r}")
        return self

    @property
    def about(self) -> str:
        """The path or id that it names, as errors quote it."""
        return f"path {self.path!r}" if self.path is not None else f"id {self.id!r}"


class _File(Settings):
    """A YAML file of corrections."""

    corrections: tuple[Correction, ...]


def read_corrections(path: Path) -> list[tuple[str, Correction]]:
    """The corrections of a YAML or CSV file, each with its place in words.

    Raises:
        UserError: the file cannot be read, or one of them is malformed.
    """
    if path.suffix.lower() in (".yaml", ".yml"):
        data = read_yaml(path)
        try:
            found = validate(_File, data).corrections
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        return [(f"{path}: corrections.{index}", row) for index, row in enumerate(found)]
    if path.suffix.lower() != ".csv":
        raise UserError(f"{path}: corrections must end in .yaml, .yml or .csv")
    rows = []
    for line, cells in read_csv(path, ("field", "from", "to", "reason", "source", "tier")):
        where = f"{path}, line {line}"
        if "path" not in cells and "id" not in cells:
            raise UserError(f"{path}: has no column 'path' and no column 'id'")
        given: dict[str, object] = {key: cell for key, cell in cells.items() if cell.strip()}
        if given.pop("both", "false") not in ("true", "false"):
            raise UserError(f"{where}: both must be true or false, found {cells['both']!r}")
        given |= {"both": True} if cells.get("both") == "true" else {}
        try:
            rows.append((where, validate(Correction, given)))
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
    return rows
