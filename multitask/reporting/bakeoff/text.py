"""Texts of a bake-off's terms and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitask.reporting.bakeoff.report_schema import BakeoffReport, Budget, ContenderFacts, Point
from multitask.reporting.study.text import time_text, value_text
from multitask.utils.spelling import plural


def terms_text(report: BakeoffReport) -> str:
    """On what terms the contenders were compared, in a line."""
    found = [plural(len(report.seeds), "seed", "seeds")]
    if report.num_folds:
        found.append(f"{report.num_folds} folds")
    found.append(budget_text(report.budget))
    if report.tune:
        tries = 1
        for values in report.tune.values():
            tries *= len(values)
        found.append(f"{plural(tries, 'tuning run', 'tuning runs')} each")
    return ", ".join(found)


def budget_text(budget: Budget | None) -> str:
    """``20,000 images a run``."""
    if budget is None:
        return "each its config's epochs"
    if budget.images is not None:
        return f"{budget.images:,} training images a run"
    assert budget.seconds is not None
    return f"{time_text(budget.seconds)} of training a run"


def groups_text(report: BakeoffReport) -> str:
    """The resampling unit of the intervals: groups, and with several passes over them the seeds too.

    Where a task's score decides, the images are those with that label; other tasks may be known of others.
    """
    last = report.last
    groups = f"{plural(last.num_images, 'image', 'images')} of {plural(last.num_groups, 'group', 'groups')}"
    if report.metric.startswith("tasks."):
        groups += f" whose {report.metric.split('.')[1]} is known"
    if report.num_passes == 1:
        return f"{groups}, each answered once; intervals resample groups"
    return f"{groups}, each answered {report.num_passes} times; intervals resample groups and seeds"


def metric_text(metric: str) -> str:
    """``joint macro-F1``, ``age accuracy``."""
    place, _, name = metric.rpartition(".")
    return f"{place.removeprefix('tasks.')} {name.replace('macro_f1', 'macro-F1')}"


def point_text(point: Point) -> str:
    """How many groups train: ``40 groups``, ``all groups``."""
    return "all groups" if point == "all" else plural(point, "group", "groups")


def size_text(num_bytes: float) -> str:
    """``35.2 MB``, in powers of 1000."""
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def rate_text(rate: float | None) -> str:
    """Images per second, to three digits."""
    return "–" if rate is None else f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def changes_text(contender: ContenderFacts) -> str:
    """A contender's changes of the base, and the values that tuning chose."""
    found = [f"{key}={_value(value)}" for key, value in {**contender.changes, **contender.tuned}.items()]
    return ", ".join(found) or "as the base"


def epochs_text(epochs: Sequence[int]) -> str:
    """``6``, or ``6 to 8`` where runs differ."""
    return str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_value(item)}' for key, item in value.items())}}}"
    return value_text(value)
