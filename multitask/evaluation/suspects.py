"""Suspects: given labels that are probably wrong, and what an audit of them found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from multitask.evaluation.group_pooling import Pooling

SURE = 0.5
"""The least confidence of a suspect whose label is more probably wrong than right."""


@dataclass(frozen=True)
class Change:
    """One label that would be corrected, as a row of a corrections file.

    Attributes:
        path: an image's path or a group's name.
        task: of the label.
        given: the class that is there.
        suggested: the class that would be right.
    """

    path: str
    task: str
    given: str
    suggested: str


@dataclass(frozen=True)
class Suspect:
    """A given label that is probably wrong.

    Attributes:
        head: the task, or ``joint``: the class as a whole.
        group: of the images.
        images: that have the label.
        given: the name of the given class; of a group whose images do not agree, of all that are given.
        suggested: the name of the most probable other class.
        score: what suspects are ranked by, in [0, 1]; the lower, the more suspect.
        self_confidence: the given label's probability.
        confidence: how probable the suggested label is if errors are as rare as the fit says.
        disagrees: whether the group's own labels contradict each other, which no network need say.
        changes: what accepting it changes.
    """

    head: str
    group: str
    images: tuple[str, ...]
    given: str
    suggested: str
    score: float
    self_confidence: float
    confidence: float
    disagrees: bool
    changes: tuple[Change, ...]

    @property
    def is_sure(self) -> bool:
        """Whether the label is more probably wrong than right."""
        return self.confidence >= SURE

    @property
    def reason(self) -> str:
        """The reason for the suspicion, for a corrections file."""
        if self.disagrees:
            return "the images of the group are labelled differently"
        return f"out-of-fold probability of {self.given} is {self.self_confidence:.3f}"


@dataclass(frozen=True)
class HeadAudit:
    """The audit of one head.

    Attributes:
        head: the task, or ``joint``.
        unit: what is judged: a ``group``, or an ``image``.
        num_units: how many have a label.
        num_suspects: how many of these are suspect, with those of ``joint`` that other heads have already.
        num_listed: how many of these are listed: of ``joint`` those that change something which no task's do.
        num_sure: how many of the listed are more probably wrong than right.
        accuracy: the share of the labels that are the most probable out of fold; NaN where there is none.
        commonest: the share of the commonest label: the accuracy of one fixed answer.
        beats_commonest: whether the accuracy is above that beyond noise, by groups and not by images.
        pooling: how the images' probabilities were turned into the units'.
    """

    head: str
    unit: Literal["group", "image"]
    num_units: int
    num_suspects: int
    num_listed: int
    num_sure: int
    accuracy: float
    commonest: float
    beats_commonest: bool
    pooling: Pooling


@dataclass(frozen=True)
class Audit:
    """The findings of an audit.

    Attributes:
        heads: a row for each task and for ``joint``.
        suspects: the most suspect first; the joint class's, whose probabilities are smaller, after the tasks', and of
            these only those that change something which no task's do.
        constant: the tasks that were judged group by group.
        nearly: tasks that are constant in most groups but not in all: the share in which they are.
    """

    heads: tuple[HeadAudit, ...]
    suspects: tuple[Suspect, ...]
    constant: tuple[str, ...]
    nearly: dict[str, float]

    @property
    def num_sure(self) -> int:
        """The number of suspects that are more probably wrong than right."""
        return sum(suspect.is_sure for suspect in self.suspects)
