"""The record of what a study began with, so that it is not resumed with another file, other data or version."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from optuna.distributions import check_distribution_compatibility
from optuna.study import Study

import multitask
from multitask.errors import UserError
from multitask.runs.comparison import OF_THE_MACHINE, TRACKING
from multitask.settings import flatten
from multitask.study.settings import Plan

FORMAT = 1
"""Of what a study's and its trials' user attributes hold."""
RECORD = "multitask"
"""The study's user attribute that holds what it began with."""


def record_of(plan: Plan, fingerprint: str) -> dict[str, Any]:
    """The values that must be the same for a study to be resumed: flat, so that a difference can be named.

    Files and folders count by their names alone, since machines that share a study keep them in other places.
    """
    settings = plan.settings
    chosen = {
        "objective": list(settings.objective),
        "direction": list(settings.directions),
        "sampler": settings.sampler.model_dump(mode="json"),
        "pruner": settings.chosen_pruner.model_dump(mode="json"),
        "seed": settings.seed,
    }
    space = {f"space.{path}": entry.model_dump(mode="json") for path, entry in settings.space.items()}
    base = {f"base.{key}": _without_folder(value) for key, value in flatten(plan.base.model_dump(mode="json")).items()}
    began = {**flatten(chosen), **space, **base}
    return {"format": FORMAT, "version": multitask.__version__, "data": fingerprint, "began": began}


def _without_folder(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_folder(item) for item in value]
    return os.path.basename(value) if isinstance(value, str) and os.path.isabs(value) else value


def changed_since(began: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The differences between two records: key -> (then, now)."""
    then_keys, now_keys = began["began"], now["began"]
    keys = [key for key in {**then_keys, **now_keys} if key.removeprefix("base.") not in (*OF_THE_MACHINE, TRACKING)]
    found = {key: (then_keys.get(key), now_keys.get(key)) for key in keys if then_keys.get(key) != now_keys.get(key)}
    if began["data"] != now["data"]:
        found["the data's fingerprint"] = (began["data"][:12], now["data"][:12])
    return found


_FIXED = ("base.", "objective", "direction", "the data")
"""Changes after which old and new scores do not compare, so that nothing can extend the study."""


def check_record(study: Study, record: Mapping[str, Any], plan: Plan, extend: bool) -> None:
    """Refuses to resume a study with another study file.

    Args:
        study: Optuna's.
        record: of the file, as ``record_of`` makes it.
        plan: the file, made out.
        extend: whether space, sampler, pruner and seed may be others than they were.

    Raises:
        UserError: the study is of another version, or the file changed: it says what.
    """
    began = study.user_attrs.get(RECORD)
    name = study.study_name
    if not isinstance(began, dict) or "format" not in began:
        raise UserError(f"{name}: the storage has a study of this name that is none of ours; change the study's name")
    if began["format"] != FORMAT:
        raise UserError(
            f"{name}: was begun by multitask {began.get('version')}, whose studies are kept in another way; "
            f"go on with that version, or begin another with --out"
        )
    changes = changed_since(began, record)
    if not changes:
        return
    told = [f"{key} was {then!r}, is {now!r}" for key, (then, now) in changes.items()]
    told = told[:3] + ([f"and {len(told) - 3} more"] if len(told) > 3 else [])
    fixed = [key for key in changes if key.startswith(_FIXED)]
    if fixed:
        raise UserError(
            f"{name}: changed since the study began, so that its scores would not compare: {'; '.join(told)}; "
            "begin another with --out and another name"
        )
    if not extend:
        raise UserError(f"{name}: changed since the study began: {'; '.join(told)}; go on nevertheless with --extend")
    for trial in study.get_trials(deepcopy=False):
        for key, new in plan.space.distributions().items():
            try:
                if key in trial.distributions:
                    check_distribution_compatibility(trial.distributions[key], new)
            except ValueError as error:
                raise UserError(f"space.{key}: cannot be extended: {error}") from None
    study.set_user_attr(RECORD, dict(record))
