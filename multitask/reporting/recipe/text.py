"""Texts of a recipe: what its stages brought, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from multitask.reporting.bakeoff.text import metric_text
from multitask.reporting.recipe.report_schema import RecipeReport, StageReport, Tried
from multitask.reporting.study.text import time_text, value_text
from multitask.reporting.text import interval_text, level_text, points_text, score_text, shorten
from multitask.utils.spelling import plural


def gain_text(stage: StageReport) -> str:
    """``+7.5 points (98.3% +1.5 to +13.8)``; nothing where no gain was judged."""
    if stage.judged is None or stage.judged.gain is None:
        return ""
    gain = stage.judged.gain
    return (
        f"{points_text(gain.value)} points ({level_text(stage.judged.level)} {points_text(gain.low)} to "
        f"{points_text(gain.high)})"
    )


def stage_sentence(stage: StageReport, metric: str) -> str:
    """How a stage ended, in a sentence.

    Args:
        stage: its own sentence is not looked at.
        metric: the score that decides.
    """
    judged, title = stage.judged, stage.title
    if stage.state == "skipped":
        return f"{title}: skipped, since the budget does not hold it."
    if stage.state == "spent":
        return f"{title}: ended by the budget, so nothing of it is kept."
    if stage.name == "baseline" and judged is not None:
        found = f"{score_text(judged.after.value)} (95% {interval_text(judged.after.ci)})"
        return f"{title}: {metric_text(metric)} {found} on {_groups(judged.num_groups)}."
    if stage.state == "done":
        return f"{title}: done."
    if judged is None or judged.gain is None:
        return f"{title}: not kept, as there was nothing to judge."
    if stage.state == "kept":
        return f"{title}: kept, {gain_text(stage)} of {metric_text(metric)} on {_groups(judged.num_groups)}."
    why = "which is behind" if judged.gain.high < 0 else "which may be noise"
    return f"{title}: not kept, {gain_text(stage)} on {_groups(judged.num_groups)}, {why}."


def _groups(number: int) -> str:
    return f"{plural(number, 'group', 'groups')} that picked nothing"


def recipe_sentences(report: RecipeReport) -> Iterator[str]:
    """The recipe in words: what was kept and what it brings, how it was judged, and what it took."""
    kept = report.kept
    if kept and report.total is not None:
        total = report.total
        names = ", ".join(stage.name for stage in kept)
        yield (
            f"Kept: {names}. Together {points_text(total.value)} points of {metric_text(report.metric)} over the "
            f"baseline (95% {points_text(total.low)} to {points_text(total.high)})."
        )
    else:
        yield "Nothing was kept: the config as given stands."
    judged = report.baseline
    yield (
        f"{plural(report.num_pick_groups, 'group', 'groups')} that validate picked; {judged.num_groups:,} others "
        f"judged, in {report.num_folds} folds, each answered {_times(report.num_seeds)} by networks that never saw it."
    )
    if report.num_judged:
        yield (
            f"A stage is kept where its {level_text(report.level)} interval is above 0: the "
            f"{level_text(report.alpha)} chance of keeping any that brings nothing is shared by "
            f"{plural(report.num_judged, 'judged stage', 'judged stages')} (Bonferroni)."
        )
    if report.num_seeds == 1:
        yield "Intervals are over groups alone; with judges.seeds of 2 or more they are over seeds too."
    if kept:
        yield "The judges of the whole gain also decided what was kept, so that it flatters a little."
    yield f"{time_text(report.spent_s)} of {time_text(report.budget_s)} were spent."


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


_LONGEST = 90
"""Of a value, as that of a whole section; the config that won has it in full."""


def changes_text(tried: Tried | StageReport) -> str:
    """``data.crop={name: none}``; of long sections the names of what lies within, and else their ends."""
    return ", ".join(f"{key}={_section_text(value)}" for key, value in tried.changes.items()) or "nothing"


def _section_text(value: object) -> str:
    texts = (_value(value, depth) for depth in (99, 1, 0))
    return next((text for text in texts if len(text) <= _LONGEST), shorten(_value(value, 0), _LONGEST))


def _value(value: object, depth: int) -> str:
    """As YAML; of sections that lie deeper than ``depth`` the keys alone."""
    if not isinstance(value, dict):
        return value_text(value)
    items = {key: item for key, item in value.items() if item is not None}
    return f"{{{', '.join(f'{key}: {_value(item, depth - 1)}' if depth else str(key) for key, item in items.items())}}}"
