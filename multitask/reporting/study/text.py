"""Texts of a study's settings, scores and times in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.cells import cell_len

from multitask.progress import SweepStatus
from multitask.reporting.console import score
from multitask.reporting.study.report_schema import ImportancesBasis
from multitask.reporting.text import shorten
from multitask.utils.spelling import plural

_HEAD_NAME = 9  # letters of a task's name above a column of scores
_SCORE_WIDTH = 5  # of 1.000


def short_names(keys: Iterable[str], least: int = 1) -> dict[str, str]:
    """Per config key, the last of its parts that tell it from the others: ``age.weight`` and ``mask.weight``.

    A variant's ``name`` goes: the key that holds it says what varies.

    Args:
        keys: all that are shown together.
        least: parts that a name keeps even where fewer would tell it.
    """
    parts = {key: key.removesuffix(".name").split(".") for key in keys}
    found = {}
    for key, words in parts.items():
        others = [other for name, other in parts.items() if name != key]
        lengths = (n for n in range(least, len(words)) if all(other[-n:] != words[-n:] for other in others))
        found[key] = ".".join(words[-next(lengths, len(words)) :])
    return found


def value_text(value: Any) -> str:
    """A setting's value as YAML has it, numbers with 3 significant digits: ``0.312``, ``1.2e-05``, ``true``."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(value_text(item) for item in value)}]"
    return " ".join(str(value).split()) or "''"


def time_text(seconds: float) -> str:
    """About how long: ``45 s``, ``12 min``, ``2 h``, ``3 h 20 min``, ``2 d 4 h``."""
    if round(seconds) < 60:
        return f"{max(round(seconds), 0)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return _two_units(minutes, 60, "h", "min")
    return _two_units(round(seconds / 3600), 24, "d", "h")


def _two_units(number: int, size: int, large: str, small: str) -> str:
    whole, rest = divmod(number, size)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"


def clock_text(seconds: float) -> str:
    """How long to the second: ``3:05``, ``1:02:05``."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def metric_heading(metric: str) -> str:
    """A metric above a column: macro-F1 is understood, so ``tasks.age.macro_f1`` is ``age``."""
    return metric.removeprefix("tasks.").removesuffix(".macro_f1")


def heads_that_fit(tasks: Iterable[str], room: int) -> dict[str, tuple[str, int]]:
    """The first tasks for whose columns of scores there is room.

    Args:
        tasks: their names.
        room: columns of the terminal, of which every head takes 2 for the gap before it.

    Returns:
        Per task its heading and its column's width.
    """
    found = {}
    for task in tasks:
        heading = shorten(task, _HEAD_NAME)
        width = max(cell_len(heading), _SCORE_WIDTH)
        room -= width + 2
        if room < 0:
            break
        found[task] = (heading, width)
    return found


def best_text(view: SweepStatus, now: float) -> str:
    """The best so far, whose it is, and since when: ``best .512, trial 7, 3 min ago``; nothing of runs that confirm."""
    if view.counts_runs:
        return ""
    if len(view.objectives) > 1 and view.front:
        return f"front of {plural(view.front, 'trial', 'trials')}"
    if view.best is None:
        return "no trial has a score yet"
    since = "in an earlier launch" if view.best_since is None else f"{time_text(now - view.best_since)} ago"
    return f"best {score(view.best)}, trial {view.best_trial}, {since}"


def counts(view: SweepStatus) -> list[tuple[str, str]]:
    """How many trials ended how, each as words and the style for them."""
    if view.counts_runs:
        found = [(f"{plural(view.finished, 'run', 'runs')} done", "")]
        found += [(f"{view.failed:,} failed", "red")] if view.failed else []
    else:
        found = [
            (f"{view.finished:,} finished", ""),
            (f"{view.pruned:,} pruned", "dim" if view.pruned else ""),
            (f"{view.failed:,} failed", "red" if view.failed else ""),
        ]
    if view.retried:
        found.append((f"{view.retried:,} queued again", "yellow"))
    return found


def counts_text(view: SweepStatus) -> str:
    """How many trials ended how, in a line."""
    return ", ".join(text for text, _ in counts(view))


def deadline_of(view: SweepStatus) -> float | None:
    """When no new trial begins; a study that confirms is past its search, and has none."""
    return None if view.counts_runs else view.deadline


def seconds_left(view: SweepStatus, now: float) -> float | None:
    """How long it will be until the last trial ends or no new one begins, whichever is sooner.

    Every trial is taken to last as long as the mean of those that ended.

    Args:
        view: how the study stands.
        now: of ``time.monotonic()``.

    Returns:
        Seconds; None where nothing tells.
    """
    deadline = deadline_of(view)
    left = [] if deadline is None else [max(deadline - now, 0.0)]
    if view.total is not None and view.mean_seconds is not None:
        running = [max(view.mean_seconds - (now - trial.started), 0.0) for trial in list(view.running.values())]
        waiting = max(view.total - view.ended - len(running), 0)
        # Workers take the waiting trials in turn, those first that are free first.
        free = sorted(running + [0.0] * (view.num_workers - len(running)))
        rounds, more = divmod(waiting, max(len(free), 1))
        ends = (start + (rounds + (turn < more)) * view.mean_seconds for turn, start in enumerate(free))
        left.append(max(ends, default=0.0))
    return min(left, default=None)


def conditional_text(name: str, about: ImportancesBasis | None) -> str:
    """In how many of the trials a parameter is that not all have; empty where all do."""
    if about is None or name not in about.conditional:
        return ""
    return f"only in {about.trials[name]:,} of {plural(about.num_trials, 'trial', 'trials')}"
