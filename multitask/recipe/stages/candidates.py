"""Named changes, tried by several of the stages: short runs on the groups that pick, and the best goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan, of_length
from multitask.reporting.study.text import time_text

if TYPE_CHECKING:
    from multitask.config import Config
    from multitask.recipe.lab import Candidate, Lab

AS_IT_STANDS = "as it stands"


def half_of_judged(lab: Lab, config: Config) -> int:
    """The epochs of a run that picks, where nobody says them: half of those of a judged run of the config."""
    return max(1, lab.epochs_of(config) // 2)


def plan_of(lab: Lab, configs: Sequence[Config], epochs: int | None, left_s: float, what: str) -> StagePlan:
    """The plan of short runs of several configs, and of judging the longest of them.

    Args:
        lab: where it is done.
        configs: one for each short run.
        epochs: of a short run; None: half of those of a judged one.
        left_s: that the stage may take.
        what: is tried, for the reason.

    Raises:
        CannotHoldError: the seconds do not hold it.
    """
    short = half_of_judged(lab, lab.config) if epochs is None else epochs
    tried = sum(lab.costs.seconds(of_length(config, short)) for config in configs)
    judged = max(lab.judged_seconds(config) for config in configs)
    seconds = tried + judged + lab.costs.preparing_seconds(configs)
    if seconds > left_s:
        raise CannotHoldError(f"{what} and judging the best takes about {time_text(seconds)}")
    return StagePlan(seconds, short)


def best_of(lab: Lab, stage: str, candidates: Sequence[Candidate], plan: StagePlan) -> Proposal:
    """The candidate with the best score on the groups that pick; of equal ones the first, which is how things stand.

    Args:
        lab: where it is done.
        stage: whose candidates they are.
        candidates: the first changes nothing.
        plan: the stage's.
    """
    tried = lab.pick(stage, candidates, plan.epochs)
    known = [one for one in tried if one.score is not None]
    best = max(known, key=lambda one: one.score or 0.0, default=tried[0])
    rows = [replace(one, picked=one is best) for one in tried]
    if not best.changes:
        return Proposal({}, rows, "Nothing was ahead of the config as it stands on the groups that pick.")
    return Proposal(best.changes, rows, f"{best.name} was ahead on the groups that pick.")
