"""The parts of every section of a config: the strict base class, numbers with bounds, and paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationInfo

# Every number has a lower and an upper bound: what is beyond can only be a mistake, and is said before it fills a disk.
Int = Annotated[int, Strict(), Field(ge=-(2**63), le=2**63 - 1)]
Float = Annotated[float, Strict(), Field(ge=-1e18, le=1e18, allow_inf_nan=False)]
Bool = Annotated[bool, Strict()]
PositiveInt = Annotated[Int, Field(ge=1, le=10**9)]
Count = Annotated[Int, Field(ge=0, le=10**9)]
PositiveFloat = Annotated[Float, Field(gt=0, le=1e12)]
NonNegativeFloat = Annotated[Float, Field(ge=0, le=1e12)]
Fraction = Annotated[Float, Field(ge=0, le=1)]
Seed = Annotated[Int, Field(ge=0, le=2**63 - 1)]
MOST_FOLDS = 1000
Folds = Annotated[Int, Field(ge=2, le=MOST_FOLDS)]
Workers = Annotated[Int, Field(ge=1, le=256)]
"""The number of processes."""
Epochs = Annotated[Int, Field(ge=1, le=100_000)]
Width = Annotated[Int, Field(ge=1, le=65_536)]
"""The number of a layer's units."""
Trials = Annotated[Int, Field(ge=1, le=1_000_000)]


class Settings(BaseModel):
    """A section of the config: unknown keys forbidden, immutable, defaults checked too."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Located(str):
    """A string from elsewhere than the config's file: a relative path in it is relative to ``folder``."""

    folder: Path

    def __new__(cls, text: str, folder: Path) -> Located:
        """``text``, found in ``folder``."""
        located = super().__new__(cls, text)
        located.folder = folder
        return located

    def __getnewargs__(self) -> tuple[str, Path]:  # type: ignore[override]
        """For a copy, and for another process."""
        return str(self), self.folder


def located(value: Any, folder: Path) -> Any:
    """Plain data with every string in it marked as found in ``folder``."""
    if isinstance(value, str):
        return value if isinstance(value, Located) else Located(value, folder)
    if isinstance(value, list):
        return [located(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: located(item, folder) for key, item in value.items()}
    return value


def resolve_path(value: object, info: ValidationInfo) -> object:
    """A path made absolute; anything that is no string is left for the type check to refuse."""
    if not isinstance(value, str) or not value:
        return value
    folder = value.folder if isinstance(value, Located) else (info.context or {}).get("folder", Path.cwd())
    # Unlike Path's, this leaves the home of nobody as it stands, for the check of the file to name.
    return str((folder / os.path.expanduser(value)).resolve())


ConfigPath = Annotated[str, Field(min_length=1), BeforeValidator(resolve_path)]
"""A path in a config file is relative to that file's folder; one in ``--set`` to the working directory."""
