"""``report.json`` of a recipe, typed; a field is a key of the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from multitask.reporting.figures import IntervalGap, IntervalScore
from multitask.settings import Changes
from multitask.utils.records import Count, Moment, Number, Score

State = Literal["kept", "not kept", "done", "skipped", "spent"]
"""``done``: there is nothing to judge; ``skipped``: the budget did not hold it; ``spent``: it ran out in its midst."""


def judged_level(alpha: float, num_judged: int) -> float:
    """The level of each of so many intervals that share ``alpha`` evenly (Bonferroni)."""
    return 1 - alpha / max(num_judged, 1)


@dataclass(frozen=True)
class Tried:
    """A candidate that a stage tried on the groups that pick.

    Attributes:
        name: the stage's for it.
        changes: of the config as it stood, or of how a command answers.
        score: on the groups that pick; None where there is none.
        picked: whether it went before the judges.
    """

    name: str
    changes: Changes
    score: Score | None
    picked: bool = False


@dataclass(frozen=True)
class Judged:
    """What the judges found of a stage's proposal.

    Attributes:
        before: the score of the config as it stood; None of the baseline.
        after: that of the proposal.
        gain: the latter less the former, group by group; None of the baseline.
        level: of the gain's interval, by the stage's share of alpha; of a score alone .95.
        num_groups: who judged.
        num_images: theirs.
    """

    before: IntervalScore | None
    after: IntervalScore
    gain: IntervalGap | None
    level: Score
    num_groups: Count
    num_images: Count


@dataclass(frozen=True)
class StageReport:
    """How a stage ended; also ``report.json`` in its folder.

    Attributes:
        name: the stage's.
        title: for the page.
        state: how it ended.
        sentence: the same in words.
        note: what else should be known; "": nothing.
        tried: on the groups that pick.
        changes: of the config as it stood, that were proposed.
        judged: None: nothing was.
        epochs: of the runs that it planned: those that pick, where it has any, or those that are judged or for use; 0:
            it was not planned.
        estimate_s: what it was reckoned to take; None where that was not known.
        seconds: what it took, over all launches.
        files: what it left for use: a word -> the path within the recipe's folder.
        runs: the judged runs' folders within the recipe's, where the changed config alone does not say them.
        views: that were proposed, by which images are answered too, as of ``multitask predict --views``.
    """

    name: str
    title: str
    state: State
    sentence: str
    note: str
    tried: tuple[Tried, ...]
    changes: Changes
    judged: Judged | None
    epochs: Count
    estimate_s: Number | None
    seconds: Number
    files: dict[str, str] = field(default_factory=dict)
    runs: tuple[str, ...] = ()
    views: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecipeReport:
    """All that a recipe did.

    Attributes:
        recipe: its name.
        created: when it began.
        base: the config that it began with.
        metric: the score that decides.
        budget_s: what it might take.
        spent_s: what it took, over all launches.
        alpha: the chance that any stage is kept which brings nothing.
        num_judged: stages that share alpha.
        num_folds: into which the groups that judge are dealt.
        num_seeds: how often each of them is answered.
        epochs: of a judged run of the base.
        num_pick_groups: who picks.
        tasks: their names.
        stages: in their order.
        total: the gain of all that was kept, 95%; None where nothing was.
        changes: of the base, all that was kept.
        sentences: the recipe in words.
    """

    recipe: str
    created: Moment
    base: str
    metric: str
    budget_s: Number
    spent_s: Number
    alpha: Score
    num_judged: Count
    num_folds: Count
    num_seeds: Count
    epochs: Count
    num_pick_groups: Count
    tasks: tuple[str, ...]
    stages: Annotated[tuple[StageReport, ...], Field(min_length=1)]
    total: IntervalGap | None
    changes: Changes
    sentences: tuple[str, ...]
    version: int = 1

    def __post_init__(self) -> None:
        first = self.stages[0]
        if first.name != "baseline" or first.judged is None:
            raise ValueError("stages: the first must be the baseline, with its score")

    @property
    def level(self) -> float:
        """Of the interval that each judged stage must clear of 0."""
        return judged_level(self.alpha, self.num_judged)

    @property
    def baseline(self) -> Judged:
        """The base's own score."""
        assert self.stages[0].judged is not None
        return self.stages[0].judged

    @property
    def kept(self) -> tuple[StageReport, ...]:
        """The stages whose proposals were kept, in their order."""
        return tuple(stage for stage in self.stages if stage.state == "kept")
