"""How a bake-off's terms and costs are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multitask.reporting.study.text import time_text, value_text
from multitask.reporting.text import plural


def terms_text(report: Mapping[str, Any]) -> str:
    """On what terms the contenders were compared, in a line."""
    found = [plural(len(report["seeds"]), "seed", "seeds")]
    if report["num_folds"]:
        found.append(f"{report['num_folds']} folds")
    found.append(budget_text(report["budget"]))
    if report["tune"]:
        tries = 1
        for values in report["tune"].values():
            tries *= len(values)
        found.append(f"{plural(tries, 'tuning run', 'tuning runs')} each")
    return ", ".join(found)


def budget_text(budget: Mapping[str, Any] | None) -> str:
    """``20,000 images a run``."""
    if not budget:
        return "each its config's epochs"
    if "images" in budget:
        return f"{budget['images']:,} training images a run"
    return f"{time_text(budget['seconds'])} of training a run"


def people_text(report: Mapping[str, Any]) -> str:
    """What an interval is over: the people, and with several passes over them the seeds too."""
    last = report["points"][-1]
    people = f"{plural(last['num_images'], 'picture', 'pictures')} of {plural(last['num_groups'], 'group', 'groups')}"
    if report["num_passes"] == 1:
        return f"{people}, each answered once; intervals resample groups"
    return f"{people}, each answered {report['num_passes']} times; intervals resample groups and seeds"


def size_text(num_bytes: float) -> str:
    """``35.2 MB``, in powers of 1000."""
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def rate_text(rate: float | None) -> str:
    """Images per second, to three digits."""
    return "–" if rate is None else f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def changes_text(contender: Mapping[str, Any]) -> str:
    """What makes a contender, and what tuning chose for it."""
    found = [f"{key}={_value(value)}" for key, value in {**contender["changes"], **contender["tuned"]}.items()]
    return ", ".join(found) or "as the base"


def epochs_text(epochs: list[int]) -> str:
    """``6``, or ``6 to 8`` where runs differ."""
    return str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_value(item)}' for key, item in value.items())}}}"
    return value_text(value)
