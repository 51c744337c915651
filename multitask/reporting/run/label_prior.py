"""The label prior that is estimated of images, on a run's page and on the console."""

from __future__ import annotations

from dataclasses import dataclass

from multitask.evaluation.prior_shift import LabelPrior
from multitask.evaluation.prior_text import prior_text
from multitask.labels import JOINT

MOST_LABELS = 40
"""Of more labels than this a prior is in the report alone."""


@dataclass(frozen=True)
class PriorRow:
    """A label's shares in words; ``first`` of its task."""

    name: str
    first: bool
    label: str
    share: str
    interval: str
    by_confusion: str
    trained: str


@dataclass(frozen=True)
class PriorView:
    """A row for each label of the priors that are identifiable, and a sentence on each of the others."""

    rows: tuple[PriorRow, ...]
    unknown: tuple[str, ...]


def prior_view(found: LabelPrior | None) -> PriorView | None:
    """The estimated priors as the page shows them; None where the report has none."""
    if found is None:
        return None
    rows = [
        PriorRow(
            name="joint classes" if name == JOINT else name,
            first=place == 0,
            label=label,
            share=f"{prior.prior[place]:.1%}",
            interval=f"{prior.prior_ci[place][0]:.1%} to {prior.prior_ci[place][1]:.1%}",
            by_confusion=f"{prior.by_confusion[place]:.1%}",
            trained=f"{prior.trained[place]:.1%}",
        )
        for name, prior in found.priors.items()
        if len(prior.labels) <= MOST_LABELS
        for place, label in enumerate(prior.labels)
    ]
    return PriorView(tuple(rows), tuple(found.unknown.values()))


def prior_lines(found: LabelPrior | None) -> list[str]:
    """The same for the console, a line each."""
    if found is None:
        return []
    return [*(prior_text(name, prior) for name, prior in found.priors.items()), *found.unknown.values()]
