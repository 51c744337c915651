"""An estimated prior in a line."""

from __future__ import annotations

from multitask.evaluation.prior_shift import PriorEstimate
from multitask.labels import JOINT

_SHOWN = 8


def prior_text(name: str, found: PriorEstimate) -> str:
    """A prior of a task, or of ``joint``, with its intervals in a line; of very many labels the most frequent."""
    rows = sorted(range(len(found.labels)), key=lambda row: -found.prior[row])
    shown = [row for row in range(len(found.labels)) if row in rows[:_SHOWN]]
    parts = [
        f"{found.labels[row]} {found.prior[row]:.0%} ({low:.0%} to {high:.0%}; the network's own "
        f"{found.trained[row]:.0%})"
        for row, (low, high) in ((row, found.prior_ci[row]) for row in shown)
    ]
    more = f", and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    what = "the classes" if name == JOINT else name
    return f"estimated prior of {what}: {', '.join(parts)}{more}"
