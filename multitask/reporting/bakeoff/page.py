"""The page of a bake-off: what its report holds, put into the order and the words that the template prints."""

from __future__ import annotations

from multitask.reporting.bakeoff import sections
from multitask.reporting.bakeoff.report_schema import BakeoffReport
from multitask.reporting.bakeoff.text import budget_text, groups_text, metric_text, point_text, terms_text
from multitask.reporting.html import render
from multitask.reporting.study.text import time_text
from multitask.reporting.text import count_text, moment_text, score_text


def render_bakeoff(report: BakeoffReport) -> str:
    """A bake-off's report as a complete HTML page that needs no other file.

    Returns:
        The page. The same report gives the same characters.
    """
    axis = sections.axis(report) if report.axis is not None else None
    unseen = any(row.unseen for row in report.last.scored.values())
    tuned = any(row.tuning for row in report.contenders)
    titles = {
        "differences": "Differences",
        **({"sizes": "By groups"} if axis else {}),
        "scores": "Scores",
        "tasks": "Heads",
        **({"unseen": "Unseen cells"} if unseen else {}),
        "costs": "Costs",
        "runs": "Runs",
        **({"tuning": "Tuning"} if tuned else {}),
        "contenders": "Contenders",
    }
    return render(
        "bakeoff.html",
        title=f"{report.bakeoff} · bake-off",
        report=report,
        created=moment_text(report.created),
        terms=terms_text(report),
        answered=groups_text(report),
        metric=metric_text(report.metric),
        heading=(name := metric_text(report.metric))[:1].upper() + name[1:],
        at="" if report.axis is None else f" with {point_text(report.last.point)} to train",
        sections=titles,
        cards=_cards(report),
        differences=sections.differences(report),
        axis=axis,
        scores=sections.scores(report),
        tasks=sections.tasks(report),
        unseen=sections.unseen(report) if unseen else None,
        costs=sections.costs(report),
        runs=sections.runs(report),
        tuning=sections.tuning(report) if tuned else None,
        contenders=sections.contenders(report),
    )


def _cards(report: BakeoffReport) -> list[tuple[str, str, str]]:
    """The headline figures; the best contender leads."""
    rows = report.last.scored
    best = max(rows, key=lambda name: rows[name].metric.value)
    cards = [(f"Best {metric_text(report.metric)}", score_text(rows[best].metric.value), best)]
    if best != report.reference:
        cards.append(("Reference", score_text(rows[report.reference].metric.value), report.reference))
    beyond = [row.difference for row in rows.values() if row.difference is not None and row.difference.beyond_noise]
    ahead = sum(found.value > 0 for found in beyond)
    cards.append(("Ahead beyond noise", count_text(ahead), f"of {len(report.contenders) - 1} compared"))
    cards.append(("Groups scored", count_text(report.last.num_groups), f"{report.last.num_images:,} images"))
    own = [contender.name for contender in report.contenders if not contender.answered_from]
    scored = (point.scored for point in report.points)
    trained = [run.seconds for rows in scored for name in own if name in rows for run in rows[name].runs]
    cards.append(("Training", time_text(sum(trained)), f"{len(trained)} runs, {budget_text(report.budget)}"))
    return cards
