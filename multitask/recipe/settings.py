"""The recipe file: a base config, the stages that may better it, who judges them, and how long it may take."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from multitask.config import Config, load_config, read_config
from multitask.config.file_kinds import CONFIG, RECIPE, check_kind, check_overrides
from multitask.errors import UserError
from multitask.evaluation.repeated_runs import resampled_metrics
from multitask.recipe.budget import parse_budget
from multitask.recipe.stage import STAGES, AnyStage, StageSettings
from multitask.reporting.recipe.report_schema import judged_level
from multitask.settings import (
    ConfigPath,
    ExtensionError,
    Float,
    Folds,
    PositiveInt,
    Seed,
    Settings,
    expand,
    located,
    validate,
)
from multitask.settings.yaml_text import read_yaml

DEFAULT_STAGES = ("baseline", "crop", "partial", "study", "folds", "final")
"""Of a config alone; those that do not go with it are left out, as ``partial`` where it has one source."""


class JudgeSettings(Settings):
    """The ``judges`` section: the groups that would train, in folds, each answered by networks that never saw it."""

    folds: Folds = 3
    seeds: Annotated[PositiveInt, Field(le=100)] = 1
    """How often each group is answered, with a seed of its own; from 2 on intervals are over seeds too."""
    alpha: Annotated[Float, Field(gt=0, lt=1)] = 0.05
    """The chance that any stage is kept which brings nothing: each that is judged has an even share (Bonferroni)."""


class RecipeSettings(Settings):
    """A recipe file."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    base: ConfigPath
    """The run config that the stages change."""
    overrides: dict[str, Any] = {}
    """Settings of the base that are others in this recipe: dotted key -> value."""
    budget: Annotated[str, Field(min_length=1)] | None = None
    """As ``2h``, ``90m`` or ``5400s``, over all launches; the command's ``--budget`` goes before it."""
    judges: JudgeSettings = JudgeSettings()
    metric: str = "joint.macro_f1"
    """The score that decides, as ``joint.macro_f1`` in ``report.json``."""
    seed: Seed = 0
    """Of the judged runs, of what a study tries, and of the resampling."""
    stages: Annotated[tuple[AnyStage, ...], Field(min_length=1)]
    """In their order; the first is the baseline."""

    @model_validator(mode="after")
    def _check(self) -> RecipeSettings:
        names = [stage.name for stage in self.stages]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"stages: names {twice} twice")
        if names[0] != "baseline":
            raise ValueError(f"stages: must begin with baseline, which all others are compared with, found {names[0]}")
        after = answered = ended = ""
        for place, stage in enumerate(self.stages):
            if stage.requires and stage.requires not in names[:place]:
                raise ValueError(f"stages: {stage.name} needs {stage.requires} before it")
            if stage.changes_config and after:
                raise ValueError(f"stages: {stage.name} changes the config, so it must stand before {after}")
            if stage.judged and stage.trains and answered:
                raise ValueError(f"stages: {stage.name} trains other networks, so it must stand before {answered}")
            if stage.judged and ended:
                raise ValueError(f"stages: {stage.name} is judged, so it must stand before {ended}")
            if self.judges.seeds < stage.least_seeds:
                raise ValueError(
                    f"judges.seeds: must be at least {stage.least_seeds} for {stage.name}, found {self.judges.seeds}"
                )
            after = after if stage.changes_config else stage.name
            answered = answered if stage.trains else stage.name
            ended = stage.name if stage.ends_judging else ended
        return self

    @property
    def num_judged(self) -> int:
        """How many stages are judged, and share ``alpha``."""
        return sum(stage.judged for stage in self.stages)

    @property
    def level(self) -> float:
        """Of the interval that each judged stage must clear of 0."""
        return judged_level(self.judges.alpha, self.num_judged)


@dataclass(frozen=True)
class Plan:
    """A recipe made out.

    Attributes:
        settings: the file's, or those of a config alone.
        base: the config that the stages change.
        budget_s: in seconds.
    """

    settings: RecipeSettings
    base: Config
    budget_s: float


def load_recipe(
    path: Path, overrides: Iterable[str] = (), budget: str | None = None, *, allow_extensions: bool = False
) -> Plan:
    """A recipe file, or a run config with the default stages, checked whole.

    Args:
        path: the file.
        overrides: ``key=value`` of the base config.
        budget: in place of the file's.
        allow_extensions: whether the code that the base config names may run.

    Raises:
        UserError: as one line, with the key at fault.
    """
    given = None if budget is None else parse_budget(budget, "--budget")
    # Overrides are expanded with the base.
    folder, data = path.parent.resolve(), expand(read_yaml(path), leave={"overrides"})
    check_kind(path, data, CONFIG, RECIPE)
    check_overrides(overrides := tuple(overrides), RecipeSettings, RECIPE)
    if "base" not in data and "stages" not in data:
        base = load_config(path, overrides, allow_extensions=allow_extensions)
        settings = validate(RecipeSettings, _alone(path, base))
    else:
        _load_extensions(data, folder, overrides, allow_extensions)
        settings = validate(RecipeSettings, data, folder)
        changes = located(settings.overrides, folder)
        base = load_config(Path(settings.base), overrides, changes, allow_extensions=allow_extensions)
    if given is None and settings.budget is None:
        raise UserError("--budget: must say how long the recipe may take, as --budget 2h")
    plan = Plan(settings, base, parse_budget(settings.budget or "") if given is None else given)
    _check(plan)
    return plan


def _alone(path: Path, base: Config) -> dict[str, Any]:
    stages: list[str] = []
    for name in DEFAULT_STAGES:
        stage = STAGES[name](name=name)
        if stage.requires in ("", *stages) and _goes_with(stage, base):
            stages.append(name)
    return {"name": path.stem, "base": str(path.resolve()), "stages": stages}


def _goes_with(stage: StageSettings, base: Config) -> bool:
    try:
        stage.check(base)
    except ValueError:
        return False
    return True


def _load_extensions(data: Mapping[str, Any], folder: Path, overrides: tuple[str, ...], allowed: bool) -> None:
    """Imports what the base config names, before stages are looked up; all else is said by who reads it whole."""
    base, changes = data.get("base"), data.get("overrides")
    if not isinstance(base, str):
        return
    try:
        given = located(changes, folder) if isinstance(changes, dict) else {}
        read_config((folder / os.path.expanduser(base)).resolve(), overrides, given, allow_extensions=allowed)
    except ExtensionError:
        raise
    except UserError:
        return


def _check(plan: Plan) -> None:
    base, settings = plan.base, plan.settings
    metrics = resampled_metrics(base.space())
    if settings.metric not in metrics:
        raise UserError(
            f"metric: {settings.metric!r} cannot be compared by resampling groups; it can be {metrics[0]!r}"
        )
    if base.data.none_validate:
        raise UserError("data.val_fraction: some groups must validate, and so pick what the others judge, but it is 0")
    if base.data.test_folds is not None:
        raise UserError("data.test_folds: is set by the recipe itself, from judges.folds")
    for stage in settings.stages:
        try:
            stage.check(base)
        except ValueError as error:
            raise UserError(f"stages.{stage.name}.{error}") from None
