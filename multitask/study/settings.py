"""The study file: a base config, what is tried on it, what is judged, and how long."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from multitask.config import Config, load_config, read_config, scored_metrics
from multitask.config.file_kinds import STUDY, check_kind, check_overrides
from multitask.errors import UserError
from multitask.executors import AnyExecutor, ProcessesSettings
from multitask.settings import (
    Bool,
    ConfigPath,
    Count,
    ExtensionError,
    PositiveFloat,
    PositiveInt,
    Seed,
    Settings,
    Trials,
    Workers,
    expand,
    located,
    override,
    validate,
)
from multitask.settings.yaml_text import read_yaml
from multitask.study.metrics import figure_hint, report_metrics
from multitask.study.parameters import AnyEntry
from multitask.study.pruners import AnyPruner, DominatedSettings, MedianSettings
from multitask.study.samplers import AnySampler, TPESettings
from multitask.study.space import Space

Direction = Literal["maximize", "minimize"]
_LOWER_IS_BETTER = ("loss", "ece", "mae")
_LOSSES = ("attribution.lost.", "attribution.absent")
_AUGMENTS = re.compile(r"augment\.|data\.source\.sources\.\w+\.strength$")


class BudgetSettings(Settings):
    """The ``budget`` section. The study ends at whichever is reached first."""

    trials: Trials | None = None
    """All in all, the base among them, those of earlier launches too."""
    hours: Annotated[PositiveFloat, Field(le=87_600)] | None = None
    """Of one launch; trials that run by then are finished."""

    @model_validator(mode="after")
    def _check(self) -> BudgetSettings:
        if self.trials is None and self.hours is None:
            raise ValueError("must set trials, hours or both")
        return self


class HeartbeatSettings(Settings):
    """The ``heartbeat`` section: how the death of a worker is noticed by those that share the study."""

    interval_s: Annotated[PositiveInt, Field(le=86_400)] = 10
    """Between two signs of life."""
    grace_s: Annotated[PositiveInt, Field(le=604_800)] = 60
    """Without a sign of life, after which a trial counts as lost, and a PostgreSQL server, or there the holder of a
    lock, as gone."""

    @model_validator(mode="after")
    def _check(self) -> HeartbeatSettings:
        if self.grace_s <= 2 * self.interval_s:
            raise ValueError(f"grace_s must be more than two intervals, found {self.grace_s} and {self.interval_s}")
        return self


def _several_or_one(kind: Any) -> BeforeValidator:
    return BeforeValidator(
        lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=kind | tuple[kind, ...]
    )


class StudySettings(Settings):
    """The study file."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    """In the storage, and of the folder."""
    base: ConfigPath
    """The run config that trials change."""
    overrides: dict[str, Any] = {}
    """Settings of the base that are others in this study, for all trials alike: dotted key -> value."""
    objective: Annotated[tuple[str, ...], Field(min_length=1), _several_or_one(str)] = ("joint.macro_f1",)
    """One or several figures of ``report.json``, as dotted keys."""
    direction: Annotated[tuple[Direction, ...], _several_or_one(Direction)] | None = None
    """Per objective; None: losses and calibration errors down, all else up."""
    sampler: AnySampler = TPESettings()
    pruner: AnyPruner | None = None
    """None: ``median`` with one objective, ``dominated`` with several."""
    budget: BudgetSettings
    seed: Seed = 0
    """Of what is tried; the runs' own seed is the config's."""
    workers: Workers = 1
    """Processes that train side by side, sharing the cores, or with a GPU each."""
    executor: AnyExecutor = ProcessesSettings()
    """What starts them; others than ``processes`` on other machines too."""
    stop_after_failures: Trials = 5
    """Trials in a row that end in an error, after which the study stops."""
    retries: Annotated[Count, Field(le=1000)] = 5
    """The number of times that a trial whose worker was lost is queued again."""
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    keep_checkpoints: Bool = False
    """Whether the weights of every trial are kept."""
    space: Annotated[dict[str, AnyEntry], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> StudySettings:
        if len(set(self.objective)) < len(self.objective):
            raise ValueError("objective names a figure twice")
        if self.direction is not None and len(self.direction) != len(self.objective):
            raise ValueError(
                f"direction must be one per objective ({len(self.objective)}), found {len(self.direction)}"
            )
        if self.pruner is not None and len(self.objective) > 1 and not self.pruner.several_objectives:
            raise ValueError(f"pruner: {self.pruner.name} judges one objective; with several use dominated or none")
        return self

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The direction of each objective; where the file has none, the usual one of its metric."""
        return self.direction or tuple(_usual_direction(metric) for metric in self.objective)

    @property
    def chosen_pruner(self) -> AnyPruner:
        """The pruner, also where the file names none."""
        return self.pruner or (MedianSettings() if len(self.objective) == 1 else DominatedSettings())


def _usual_direction(metric: str) -> Direction:
    down = metric.rpartition(".")[2] in _LOWER_IS_BETTER or metric.startswith(_LOSSES)
    return "minimize" if down else "maximize"


class Plan:
    """A study file made out: its base config and its space, checked whole.

    Args:
        settings: the file.
        base: the config that trials change.

    Raises:
        UserError: the space or an objective is not as it must be.
    """

    def __init__(self, settings: StudySettings, base: Config) -> None:
        self.settings = settings
        self.base = base
        self.space = Space(settings.space, base)
        self._check_objectives()
        self._check_features()

    def _check_features(self) -> None:
        features = self.base.model.backbone.features
        if features is None:
            return
        path = next((path for path in self.space.entries if any(map(_AUGMENTS.match, self.space.keys(path)))), None)
        if path is not None:
            raise UserError(
                f"space.{path}: is tuned, but model.backbone.features keeps {features.views} views of each image as "
                "one augmentation draws them, for all trials; leave either out"
            )

    def _check_objectives(self) -> None:
        if self.base.data.none_validate:
            raise UserError("data.val_fraction: a study needs groups that validate, but it is 0")
        space = self.base.space()
        scored = scored_metrics(space)
        for metric in self.settings.objective:
            # Every epoch's scores but the losses are in the report too; to know what else it holds takes torch.
            if metric in scored and not metric.endswith(".loss"):
                continue
            metrics = report_metrics(space)
            if metric not in metrics:
                raise UserError(f"objective: report.json has no figure {metric!r}{figure_hint(metric, metrics)}")
        pruner = self.settings.chosen_pruner
        pruner.check(self.space.most_epochs)
        if pruner.needs_scores and self.settings.objective[0] not in scored:
            raise UserError(
                f"pruner: {pruner.name} needs a score after every epoch, which {self.settings.objective[0]} is not; "
                f"use none, or one of {', '.join(scored)}"
            )


def load_study(
    path: Path,
    overrides: Iterable[str] = (),
    budget: Mapping[str, Any] | None = None,
    *,
    allow_extensions: bool = False,
) -> Plan:
    """A study file, checked whole.

    Args:
        path: the file.
        overrides: ``key=value`` of its base config.
        budget: ``trials``, ``hours``, ``workers`` or ``executor`` in place of the file's.
        allow_extensions: whether the code that the base config names may run, here and in the workers.

    Raises:
        UserError: as one line, with the key at fault.
    """
    overrides = tuple(overrides)
    given = {name: value for name, value in (budget or {}).items() if value is not None}
    places = {"workers": "workers", "executor": "executor.name"}
    changes = {places.get(name, f"budget.{name}"): value for name, value in given.items()}
    folder = path.parent.resolve()
    data = expand(read_yaml(path), leave={"overrides", "space"})  # those are expanded with the base
    check_kind(path, data, STUDY)
    check_overrides(overrides, StudySettings, STUDY)
    _load_extensions(data, folder, overrides, allow_extensions)
    settings = validate(StudySettings, override(StudySettings, data, changes), folder)
    from_file = located(settings.overrides, folder)
    return Plan(settings, load_config(Path(settings.base), overrides, from_file, allow_extensions=allow_extensions))


def _load_extensions(data: Mapping[str, Any], folder: Path, overrides: Iterable[str], allowed: bool) -> None:
    """Imports what the base config names, before the study's own sampler, pruner and entries are looked up.

    Whatever is wrong with the base, or with the file where it names the base, is for those to say who read them whole.
    """
    base, changes = data.get("base"), data.get("overrides")
    if not isinstance(base, str):
        return
    try:
        given = located(changes, folder) if isinstance(changes, dict) else {}
        path = (folder / os.path.expanduser(base)).resolve()
        read_config(path, overrides, given, allow_extensions=allowed)
    except ExtensionError:
        raise
    except UserError:
        return
