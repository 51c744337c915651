"""The page of explanations: images as the network sees them, where the evidence of each head lies, and its audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from multitask.evaluation.evidence import Explanation, HeatMap
from multitask.reporting.explain.overlay import framed, overlay, shown
from multitask.reporting.explain.report_schema import EvidenceReport, HeadEvidence
from multitask.reporting.explain.text import (
    FAR_VERDICTS,
    counted,
    evidence_rows,
    head_name,
    method_sentences,
    part_name,
    percent_text,
    row_name,
)
from multitask.reporting.html import EmbeddedImage, embedded, render
from multitask.reporting.text import interval_text, moment_text, score_text
from multitask.utils.spelling import path_text, plural


@dataclass(frozen=True)
class MapView:
    """A map under an image: ``said`` are its head's label and probability, ``blank`` that nothing speaks for it."""

    head: str
    label: str
    prob: str
    said: str
    blank: bool
    shown: EmbeddedImage


@dataclass(frozen=True)
class ImageView:
    """A row of the page: an image as the network sees it, and its maps."""

    image: str
    shown: EmbeddedImage
    maps: tuple[MapView, ...]


@dataclass(frozen=True)
class ShareView:
    """A row of the table of evidence; ``label`` marks that of one label, ``far`` what is to be looked at."""

    name: str
    label: bool
    far: bool
    cells: tuple[str, ...]


@dataclass(frozen=True)
class AuditView:
    """The section on how much of the evidence lies in a part of the images, which is named in words."""

    sentences: tuple[str, ...]
    part: str
    counted: str
    cells: str
    rows: list[ShareView]


def render_explanations(
    run: str,
    explanations: Sequence[Explanation],
    num_given: int | None,
    created: str,
    audit: EvidenceReport | None = None,
    unreadable: Sequence[str] = (),
) -> str:
    """Explanations as a complete HTML page that needs no other file.

    Args:
        run: the run's name.
        explanations: at least one.
        num_given: how many images were asked for, of which these are the first; None: more than these.
        created: when, as ISO 8601.
        audit: that these images are examples of; None: there is none.
        unreadable: why images among these could not be read, each naming its image.

    Returns:
        The page. The same arguments give the same characters.
    """
    num = len(explanations)
    lede = f"Where in {plural(num, 'image', 'images')} the evidence lies for what {run} predicts."
    if audit is not None:
        lede = f"Where in the images of {audit.split} the evidence lies for what {run} predicts."
    elif num_given is None:
        lede += " They are the first; there are more."
    elif num + len(unreadable) < num_given:
        lede += f" They are the first of {num_given:,}."
    return render(
        "explain.html",
        title=f"{run} · why",
        run=run,
        created=moment_text(created),
        lede=lede,
        sections={"audit": "Evidence", "images": "Images"} if audit else {"images": "Images"},
        audit=audit and _audit_view(audit),
        methods=method_sentences(explanations),
        unreadable=[path_text(reason) for reason in unreadable],
        rows=[image_view(one) for one in explanations],
    )


def image_view(explanation: Explanation) -> ImageView:
    """An explanation as the template prints it."""
    maps = tuple(_map_view(explanation, heat) for heat in explanation.maps)
    seen = framed(shown(explanation.pixels), explanation)
    return ImageView(path_text(explanation.image), embedded(seen), maps)


def _audit_view(report: EvidenceReport) -> AuditView:
    cells = f"{report.cells[1]} × {report.cells[0]}"
    rows = [_share_view(row) for row in evidence_rows(report)]
    return AuditView(report.sentences, part_name(report.part), counted(report), cells, rows)


def _share_view(row: HeadEvidence) -> ShareView:
    odds = "–"
    if row.odds is not None and row.odds_ci is not None:
        odds = f"{row.odds:.2f} ({row.odds_ci[0]:.2f} to {row.odds_ci[1]:.2f})"
    cells = (f"{row.num_images:,}", score_text(row.share), interval_text(row.ci), score_text(row.area), odds)
    return ShareView(row_name(row), row.label is not None, row.verdict in FAR_VERDICTS, cells)


def _map_view(explanation: Explanation, heat: HeatMap) -> MapView:
    prob = percent_text(heat.prob)
    laid = embedded(framed(overlay(explanation.pixels, heat.values), explanation))
    return MapView(head_name(heat), heat.label, prob, f"{heat.label}, {prob}", not heat.values.any(), laid)
