"""The console's part for recipes: what was kept, and a table of the stages."""

from __future__ import annotations

from rich.text import Text

from multitask.reporting.bakeoff.text import metric_text
from multitask.reporting.console import make_table, say, say_wrapped, score, show_table
from multitask.reporting.recipe.report_schema import RecipeReport, StageReport
from multitask.reporting.study.text import time_text
from multitask.reporting.text import level_text, points_text

_STYLES = {"kept": "green", "not kept": "dim", "skipped": "yellow", "spent": "yellow"}


def show_recipe(report: RecipeReport) -> None:
    """A recipe's report: its sentences, then a row per stage.

    Args:
        report: what its ``report.json`` holds.
    """
    say()
    say_wrapped(f"recipe {report.recipe}", "bold")
    for sentence in report.sentences:
        say_wrapped(sentence)
    say()
    title = f"stages, {metric_text(report.metric)} of the groups that judge"
    table = make_table(title, ("", "", "score", "points", level_text(report.level), "took"), left=2)
    for stage in report.stages:
        verdict = Text("" if stage.name == "baseline" else stage.state, style=_STYLES.get(stage.state, ""))
        table.add_row(stage.name, verdict, *_figures(stage), time_text(stage.seconds))
    show_table(table)
    for stage in report.stages:
        if stage.note:
            say_wrapped(f"{stage.name}: {stage.note}")


def _figures(stage: StageReport) -> tuple[str, str, str]:
    """The score, the gain and its interval."""
    judged = stage.judged
    if judged is None:
        return "-", "-", "-"
    if judged.gain is None:
        return score(judged.after.value), "-", "-"
    gain = judged.gain
    return score(judged.after.value), points_text(gain.value), f"{points_text(gain.low)} to {points_text(gain.high)}"
