"""The words of heat maps: heads, probabilities, methods."""

from __future__ import annotations

from collections.abc import Iterable

from multitask.evaluation.evidence import Explanation, HeatMap
from multitask.labels import shown_name
from multitask.reporting.explain.report_schema import EvidenceReport, HeadEvidence
from multitask.utils.spelling import plural

METHOD_WORDS = {
    "attention weights": "where the head's own attention looks, whatever it answers",
    "gradient x attention": "what the pooled token collects for the label in the last attention layer",
    "Grad-CAM": "what each place of the last feature map adds to the label's log-odds",
    "gradient x input": "how much each place of the input moves the label's log-odds",
}
"""What each method shows."""


def head_name(heat: HeatMap) -> str:
    """What a map's head is called: the task, or the class."""
    return shown_name(heat.head)


def percent_text(prob: float) -> str:
    """A probability as ``93%``; never 0% or 100% of what is not certain."""
    if 0 < prob < 0.005:
        return "<1%"
    if 0.995 <= prob < 1:
        return ">99%"
    return f"{prob:.0%}"


def method_sentences(explanations: Iterable[Explanation]) -> list[str]:
    """How the maps were made and how fine they are, a sentence for each way."""
    found: dict[tuple[str, tuple[int, int]], list[str]] = {}
    for explanation in explanations:
        for heat in explanation.maps:
            heads = found.setdefault((heat.method, heat.cells), [])
            if head_name(heat) not in heads:
                heads.append(head_name(heat))
    return [
        f"{', '.join(heads)}: {method}, {METHOD_WORDS.get(method, 'a method of your own')}; "
        f"{cells[1]} × {cells[0]} cells."
        for (method, cells), heads in found.items()
    ]


def part_name(part: str) -> str:
    """What counts as inside, with its article."""
    return {"box": "the box", "face": "the face", "region": "the region"}[part]


VERDICT_WORDS: dict[str, str] = {
    "far inside": "relies on {part}",
    "inside": "uses {part} more than what is around it",
    "neither": "uses {part} about as much as what is around it",
    "outside": "uses {part} less than what is around it",
    "far outside": "hardly uses {part}",
}
"""What is said of a head by its verdict."""


def evidence_sentences(part: str, heads: Iterable[HeadEvidence], labels: Iterable[HeadEvidence]) -> list[str]:
    """A sentence on each head, and on the labels of which more is to be said than of their head.

    Args:
        part: what counts as inside.
        heads: a row for each.
        labels: a row for each label.
    """
    found = []
    rows = list(labels)
    for head in heads:
        found.append(_sentence(part, head))
        own = [row for row in rows if row.head == head.head and row.num_images < head.num_images]
        found += [_sentence(part, row) for row in own if row.verdict in FAR_VERDICTS and row.verdict != head.verdict]
    return found


FAR_VERDICTS = ("far inside", "far outside")


def _sentence(part: str, row: HeadEvidence) -> str:
    name = row_name(row)
    if row.verdict is None or row.share is None or row.area is None:
        return f"{name}: no evidence in any image."
    words = VERDICT_WORDS[row.verdict].format(part=part_name(part))
    return f"{name} {words}: {row.share:.0%} of its evidence is there, on {row.area:.0%} of the area."


def evidence_rows(report: EvidenceReport) -> list[HeadEvidence]:
    """The rows of a table: each head with its labels below it."""
    labels = {head.head: [row for row in report.labels if row.head == head.head] for head in report.heads}
    return [row for head in report.heads for row in (head, *labels[head.head])]


def row_name(row: HeadEvidence) -> str:
    """What a row is about: a task, a label as ``gender=female``, or the class."""
    head = shown_name(row.head)
    return head if row.label is None else f"{head}={row.label}"


def counted(report: EvidenceReport) -> str:
    """How many images were explained, and how many were left out."""
    text = f"{plural(report.num_images, 'image', 'images')} of {plural(report.num_groups, 'group', 'groups')}"
    if report.num_without:
        text += f"; {report.num_without:,} more have none and are left out"
    return text
