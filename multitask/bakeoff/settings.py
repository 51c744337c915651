"""The bake-off file: contenders, budget, and the comparison."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from multitask.config.file_kinds import BAKEOFF, check_kind
from multitask.errors import nearest
from multitask.executors import AnyExecutor, ProcessesSettings
from multitask.settings import (
    Bool,
    ConfigPath,
    Float,
    Folds,
    PositiveInt,
    Seed,
    Settings,
    Workers,
    expand,
    override,
    validate,
)
from multitask.settings.yaml_text import read_yaml

Point = PositiveInt | Literal["all"]
"""How many groups train: so many, or all that may."""


MAX_SEEDS = 1000
"""Runs of each contender; more would take years."""


class ContenderSettings(Settings):
    """The ``contenders.<name>`` section: what makes this one differ."""

    overrides: dict[str, Any] = {}
    """Dotted key -> value, over the file's own overrides; ``heads.*.`` stands for every head."""
    config: ConfigPath | None = None
    """A config in place of the base."""


class BudgetSettings(Settings):
    """The ``budget`` section: how long every run trains, whichever contender's it is."""

    images: PositiveInt | None = None
    """Training images seen in a run, rounded down to whole epochs."""
    seconds: Annotated[Float, Field(gt=0, le=1e8)] | None = None
    """Of training in a run, by the speed that was measured of the contender; at least one epoch."""

    @model_validator(mode="after")
    def _check(self) -> BudgetSettings:
        if (self.images is None) == (self.seconds is None):
            raise ValueError("must set either images or seconds")
        return self


class AxisSettings(Settings):
    """The ``axis`` section: the same comparison with fewer groups to train on."""

    groups: Annotated[tuple[Point, ...], Field(min_length=2)]
    """Ascending; ``all`` is the last."""

    @model_validator(mode="after")
    def _check(self) -> AxisSettings:
        sizes = [float("inf") if point == "all" else point for point in self.groups]
        if any(low >= high for low, high in pairwise(sizes)):
            raise ValueError(f"groups: must ascend, found {', '.join(map(str, self.groups))}")
        return self


def _seeds(value: object) -> object:
    """A number of seeds as those seeds; ``True`` and what is below 1 are left for the type check to refuse."""
    if isinstance(value, int) and value > MAX_SEEDS:
        raise ValueError(f"must be at most {MAX_SEEDS} seeds, found {value}")
    return list(range(value)) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else value


def _filled(value: object) -> object:
    return {name: {} if item is None else item for name, item in value.items()} if isinstance(value, Mapping) else value


class BakeoffSettings(Settings):
    """A bake-off file."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    """Of the folder."""
    base: ConfigPath
    """The run config that contenders change."""
    overrides: dict[str, Any] = {}
    """Settings of the base that are others in this bake-off, for all contenders alike."""
    contenders: Annotated[
        dict[str, ContenderSettings],
        BeforeValidator(_filled, json_schema_input_type=dict[str, ContenderSettings | None]),
    ]
    reference: str | None = None
    """The contender that the others are compared with; None: the first."""
    seeds: Annotated[
        tuple[Seed, ...],
        Field(min_length=1),
        BeforeValidator(_seeds, json_schema_input_type=PositiveInt | tuple[Seed, ...]),
    ] = (0, 1, 2)
    """Of the runs, one for each; a number stands for so many from 0."""
    folds: Folds | None = None
    """Run i validates on fold i mod ``folds``; None: all runs validate on the same held-out groups."""
    split_seed: Seed = 0
    """Of the random split of the groups."""
    budget: BudgetSettings | None = None
    """None: each config's own epochs."""
    tune: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    """Values that are tried for every contender alike, with a seed and a split of their own: dotted key -> values."""
    axis: AxisSettings | None = None
    metric: str = "joint.macro_f1"
    """The score by which contenders are compared, as ``joint.macro_f1`` in ``report.json``."""
    sentence_if_none: str | None = None
    """The conclusion where no contender beats the reference beyond noise."""
    seed: Seed = 0
    """Of the resampling, and of the tuning runs."""
    keep_checkpoints: Bool = False
    """Whether the weights of every run are kept."""
    executor: AnyExecutor = ProcessesSettings()
    """What trains the runs: ``processes`` one after another in the launch, the others on other machines too."""
    workers: Workers = 1
    """Runs that an executor other than ``processes`` trains side by side."""

    @model_validator(mode="after")
    def _check(self) -> BakeoffSettings:
        if self.workers > 1 and isinstance(self.executor, ProcessesSettings):
            raise ValueError(
                "workers: with executor: processes the runs of a bake-off follow one another; name another"
            )
        if len(self.contenders) < 2:
            raise ValueError(f"contenders: must be two or more, found {len(self.contenders)}")
        slugs: dict[str, str] = {}
        for name in self.contenders:
            slug = slug_of(name)
            if not slug.strip("-"):
                raise ValueError(f"contenders.{name}: the name needs a letter or digit, since a folder is called so")
            if slug in slugs:
                raise ValueError(f"contenders.{name}: would share the folder {slug} with {slugs[slug]!r}")
            slugs[slug] = name
        if self.reference is not None and self.reference not in self.contenders:
            raise ValueError(
                f"reference: there is no contender {self.reference!r}{nearest(self.reference, self.contenders)}"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: names a seed twice")
        if self.folds is not None and len(self.seeds) > self.folds and len(self.seeds) % self.folds:
            raise ValueError(
                f"seeds: must be at most folds ({self.folds}) or a multiple of it, so that all groups are answered "
                f"equally often; found {len(self.seeds)}"
            )
        return self

    @property
    def compared_with(self) -> str:
        """The name of the contender that all others are compared with."""
        return self.reference or next(iter(self.contenders))

    @property
    def points(self) -> tuple[Point, ...]:
        """The places on the axis; without one, ``all``."""
        return self.axis.groups if self.axis else ("all",)

    @property
    def num_passes(self) -> int:
        """The number of passes over all groups."""
        return len(self.seeds) if self.folds is None else max(1, len(self.seeds) // self.folds)


def slug_of(name: str) -> str:
    """A contender's name as the name of a folder."""
    return re.sub(r"[^\w]+", "-", name.strip().lower())


def read_bakeoff(path: Path, instead: Mapping[str, Any] | None = None) -> BakeoffSettings:
    """A bake-off file; of what it names nothing is read yet.

    Args:
        path: the file.
        instead: dotted key -> value in place of the file's, where that is not None.

    Raises:
        UserError: as one line, with the key at fault.
    """
    data = expand(read_yaml(path), leave={"overrides", "tune"})  # those are expanded with the base
    check_kind(path, data, BAKEOFF)
    changes = {name: value for name, value in (instead or {}).items() if value is not None}
    return validate(BakeoffSettings, override(BakeoffSettings, data, changes), path.parent.resolve())
