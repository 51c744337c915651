"""Answers to groups on a run's page: what their images' evidence together brings."""

from __future__ import annotations

from dataclasses import dataclass

from multitask.evaluation.grouped_schema import UNCOMPARED, GroupedScores
from multitask.evaluation.scores import LabellingScores
from multitask.reporting.run.decode_rules import signed
from multitask.utils.spelling import plural


@dataclass(frozen=True)
class GroupsRow:
    """A labelling answered for groups, and the difference to answers image by image as text."""

    name: str
    per_group: bool
    scores: LabellingScores
    accuracy_gap: str
    accuracy_gap_interval: str
    macro_f1_gap: str
    macro_f1_gap_interval: str


@dataclass(frozen=True)
class GroupsView:
    """Answers to groups, the joint classes first."""

    sentences: tuple[str, ...]
    rows: tuple[GroupsRow, ...]


def groups_view(found: GroupedScores | None) -> GroupsView | None:
    """Answers to groups as the page shows them; None where the report says nothing of them."""
    if found is None:
        return None
    rows = []
    for name, part in {"joint": found.joint, **found.tasks}.items():
        rows.append(
            GroupsRow(
                name=name,
                per_group=name in found.per_group,
                scores=part.scores,
                accuracy_gap=signed(part.accuracy_difference),
                accuracy_gap_interval=_interval(part.accuracy_difference_ci),
                macro_f1_gap=signed(part.macro_f1_difference),
                macro_f1_gap_interval=_interval(part.macro_f1_difference_ci),
            )
        )
    return GroupsView(groups_in_words(found), tuple(rows))


def groups_in_words(found: GroupedScores) -> tuple[str, ...]:
    """What is pooled, how and why, a sentence each."""
    names = [f"{name} (declared)" if name in found.declared else name for name in found.per_group]
    how = "were fitted on other groups" if found.cross_fitted else "were fitted before"
    fitted = f"The pooling, and the decode rule after it ({found.decode}), {how}."
    answered = "" if found.pooling == "none" else ", and so answered from all of them"
    return (
        f"The same in all images of a group{answered}: {', '.join(names)}; "
        f"{plural(found.num_groups, 'group has', 'groups have')} two or more.",
        f"Pooling: {found.sentence}.",
        f"The decode rule after it is {found.decode}." if found.sentence == UNCOMPARED else fitted,
    )


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{signed(interval[0])} to {signed(interval[1])}"
