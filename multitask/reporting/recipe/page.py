"""The page of a recipe: its story, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from multitask.reporting.bakeoff.text import metric_text
from multitask.reporting.html import render
from multitask.reporting.recipe.report_schema import Judged, RecipeReport, StageReport
from multitask.reporting.recipe.text import changes_text
from multitask.reporting.study import plots
from multitask.reporting.study.plots import Interval
from multitask.reporting.study.text import time_text
from multitask.reporting.text import count_text, interval_text, level_text, moment_text, points_text, score_text
from multitask.reporting.views import Cell, Row
from multitask.utils.spelling import plural


@dataclass(frozen=True)
class StageView:
    """A stage as the page tells it.

    Attributes:
        anchor: of its section.
        title: its heading.
        verdict: how it ended, in a word or two.
        sentence: the same in words.
        note: what else should be known; "": nothing.
        tried: a row per candidate: the score on the groups that pick, and what it changes.
        facts: what it changed, took and left: a word and its text each.
    """

    anchor: str
    title: str
    verdict: str
    sentence: str
    note: str
    tried: tuple[Row, ...]
    facts: tuple[tuple[str, str], ...]


def render_recipe(report: RecipeReport) -> str:
    """A recipe's report as a complete HTML page that needs no other file.

    Returns:
        The page. The same report gives the same characters.
    """
    stages = tuple(_stage(stage) for stage in report.stages)
    return render(
        "recipe.html",
        title=f"{report.recipe} · recipe",
        report=report,
        created=moment_text(report.created),
        metric=metric_text(report.metric),
        level=level_text(report.level),
        sections={"story": "Stages", **{stage.anchor: stage.title for stage in stages}},
        cards=_cards(report),
        rows=tuple(_row(stage) for stage in report.stages),
        plot=_plot(report),
        stages=stages,
    )


def _cards(report: RecipeReport) -> list[tuple[str, str, str]]:
    """The headline figures."""
    last = report.kept[-1].judged if report.kept else report.baseline
    assert last is not None, "what was kept was judged"
    name = metric_text(report.metric)
    cards = [(f"{name[:1].upper()}{name[1:]}", score_text(last.after.value), f"95%: {interval_text(last.after.ci)}")]
    if report.total is not None:
        low, high = points_text(report.total.low), points_text(report.total.high)
        cards.append(("Points over the baseline", points_text(report.total.value), f"95%: {low} to {high}"))
    cards.append(("Stages kept", count_text(len(report.kept)), f"of {report.num_judged} judged"))
    judged = report.baseline
    cards.append(("Groups that judge", count_text(judged.num_groups), f"{report.num_pick_groups:,} others pick"))
    cards.append(("Spent", time_text(report.spent_s), f"of {time_text(report.budget_s)}"))
    return cards


def _verdict(stage: StageReport) -> str:
    words = {"spent": "ended by the budget", "done": "baseline" if stage.name == "baseline" else "done"}
    return words.get(stage.state, stage.state)


def _row(stage: StageReport) -> Row:
    """A stage's row in the table of all."""
    judged = stage.judged
    gain = None if judged is None else judged.gain
    cells = (
        Cell(_verdict(stage)),
        _score(judged),
        Cell("–" if gain is None else points_text(gain.value)),
        Cell("–" if gain is None else f"{points_text(gain.low)} to {points_text(gain.high)}"),
        Cell(time_text(stage.seconds)),
    )
    return Row(stage.title, cells, strong=stage.state == "kept")


def _score(judged: Judged | None) -> Cell:
    if judged is None:
        return Cell("–")
    return Cell(score_text(judged.after.value), interval_text(judged.after.ci))


def _plot(report: RecipeReport) -> Markup | None:
    """The gains with their intervals; None where no stage was judged."""
    shown = [
        Interval(stage.title, 100 * gain.value, 100 * gain.low, 100 * gain.high, full=stage.state == "kept")
        for stage in report.stages
        if stage.judged is not None and (gain := stage.judged.gain) is not None
    ]
    if not shown:
        return None
    words = "; ".join(f"{row.name} {row.value:.3g}" for row in shown if row.value is not None)
    label = f"Gains in points, with intervals: {words}"
    return Markup(plots.intervals(shown, xlabel="points", key="gains", label=label, zero=True, letters=24))


def _stage(stage: StageReport) -> StageView:
    facts = []
    if stage.changes:
        facts.append(("Changes" if stage.state == "kept" else "Proposed", changes_text(stage)))
    if stage.judged is not None:
        judged = stage.judged
        groups = f"{plural(judged.num_groups, 'group', 'groups')}, {plural(judged.num_images, 'image', 'images')}"
        facts.append(("Judged on", groups))
    if stage.epochs:
        facts.append(("Epochs", str(stage.epochs)))
    reckoned = "" if stage.estimate_s is None else f", reckoned {time_text(stage.estimate_s)}"
    facts.append(("Took", f"{time_text(stage.seconds)}{reckoned}"))
    facts += [(word.capitalize(), path) for word, path in stage.files.items()]
    tried = tuple(
        Row(one.name, (Cell(score_text(one.score)), Cell(changes_text(one))), strong=one.picked) for one in stage.tried
    )
    anchor = f"stage-{stage.name}"
    return StageView(anchor, stage.title, _verdict(stage), stage.sentence, stage.note, tried, tuple(facts))
