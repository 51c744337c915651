"""Records of a run report on answers to groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from multitask.evaluation.scores import LabellingScores
from multitask.utils.records import Count, Gap, GapInterval

UNCOMPARED = "too few groups are known to compare poolings"
"""The sentence of a pooling that is the default, unfitted."""


@dataclass(frozen=True, kw_only=True)
class GroupedLabelling:
    """One labelling answered for groups, beside the answers image by image.

    Attributes:
        scores: with the groups' evidence pooled.
        macro_f1_difference: less that image by image; of the same images.
        macro_f1_difference_ci: its interval.
        accuracy_difference: likewise.
        accuracy_difference_ci: its interval.
    """

    scores: LabellingScores
    macro_f1_difference: Gap | None = None
    macro_f1_difference_ci: GapInterval | None = None
    accuracy_difference: Gap | None = None
    accuracy_difference_ci: GapInterval | None = None


@dataclass(frozen=True, kw_only=True)
class GroupedScores:
    """How the tasks per group are answered for groups, by the evidence of all their images.

    Attributes:
        per_group: the tasks per group.
        declared: those of them that the config declares; the others were found.
        num_groups: of two images or more.
        pooling: its name.
        sentence: why this one.
        decode: the rule that decided, fitted after pooling.
        cross_fitted: whether pooling and rule were fitted on these groups, each group answered by others' fit.
        joint: scores of the decoded classes.
        tasks: per task, those of its most probable label.
    """

    per_group: Annotated[tuple[str, ...], Field(min_length=1)]
    declared: tuple[str, ...]
    num_groups: Count
    pooling: str
    sentence: str
    decode: str
    cross_fitted: bool
    joint: GroupedLabelling
    tasks: Annotated[dict[str, GroupedLabelling], Field(min_length=1)]

    @property
    def labellings(self) -> Mapping[str, GroupedLabelling]:
        """The scores of each task, and last ``joint``'s."""
        return {**self.tasks, "joint": self.joint}
