"""The trials of a study's report, as every part of its page needs them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from markupsafe import Markup

from multitask.reporting.study.report_schema import Param, StudyReport, Trial
from multitask.reporting.study.trial_marks import Mark, ScoreRange

_SPELLED = {"macro_f1": "macro-F1", "f1": "F1", "ece": "ECE", "tasks": ""}


@dataclass(frozen=True)
class Objective:
    """An objective of a study: a metric of a run's report, and which way is better."""

    metric: str
    maximize: bool

    @property
    def name(self) -> str:
        """The metric as consoles and pages name it: ``joint macro-F1``."""
        words = (_SPELLED.get(part, part.replace("_", " ")) for part in self.metric.split("."))
        return " ".join(word for word in words if word)

    @property
    def better(self) -> str:
        """Which way is better, in words."""
        return "higher is better" if self.maximize else "lower is better"


class StudyTrials:
    """The trials of a study's report.

    Attributes:
        objectives: one or several; the first one's score is what settings and weights are shown against.
        tasks: the names of the tasks.
        params: per setting, what was to be tried, the most important first where that is known.
        trials: the report's rows, by number.
        marks: per trial number, how plots show it.
        base: the number of the trial of the base config, if there is one.
        scores: what an axis of the first objective's scores spans.
        colours: what the colours of these scores span.
        bests: the numbers of the best trial or, with several objectives, of those on their front.

    Args:
        report: the study's.
    """

    def __init__(self, report: StudyReport) -> None:
        self.objectives = [Objective(aim.metric, aim.direction == "maximize") for aim in report.objectives]
        self.tasks = list(report.tasks)
        shares = report.importances or {}
        params = sorted(report.params, key=lambda param: -(finite(shares.get(param.name)) or 0.0))
        self.params: dict[str, Param] = {param.name: param for param in params}
        self.trials: dict[int, Trial] = {
            trial.number: trial for trial in sorted(report.trials, key=lambda trial: trial.number)
        }
        self.base = self._find_base()
        several = len(self.objectives) > 1
        best = () if report.best is None else (report.best,)
        self.bests = [number for number in (report.front if several else best) if number in self.trials]
        self.marks = {number: self.mark(number, self.score(number)) for number in self.trials}
        known = [mark.score for mark in self.marks.values()]
        finished = [mark.score for mark in self.marks.values() if mark.state == "finished"]
        self.scores = ScoreRange.of(known, self.objectives[0].maximize)
        # Pruned trials were scored when they were young: among the colours they would leave the finished ones alike.
        self.colours = ScoreRange.of(
            finished if any(score is not None for score in finished) else known, self.objectives[0].maximize
        ).including(known)

    def score(self, number: int, objective: int = 0) -> float | None:
        """A finished trial's score, or the best that a pruned one had reached; None where there is none."""
        trial = self.trials[number]
        if trial.state == "finished":
            return finite(trial.values[objective]) if trial.values else None
        if trial.state == "pruned" and len(self.objectives) == 1:
            return finite(trial.best_score)
        return None

    def mark(self, number: int, score: float | None) -> Mark:
        """The mark of a trial in a plot, with that score."""
        state = self.trials[number].state
        return Mark(number, state, score, base=number == self.base, best=number in self.bests)

    @property
    def scored(self) -> list[tuple[Mark, Trial]]:
        """The trials that have a score, each with its row of the report."""
        return [(mark, self.trials[mark.number]) for mark in self.marks.values() if mark.score is not None]

    @property
    def head_names(self) -> list[str]:
        """The heads whose weights were recorded, those of the tasks first."""
        named = dict.fromkeys(head for trial in self.trials.values() for head in trial.weights or {})
        return [task for task in self.tasks if task in named] + [head for head in named if head not in self.tasks]

    def _find_base(self) -> int | None:
        """The base's trial, or where its worker was lost, the one that ran it again."""
        found: int | None = None
        for number, trial in self.trials.items():
            if trial.origin == "base" or (found is not None and trial.origin == f"retry of {found}"):
                found = number
        return found


def finite(value: float | None) -> float | None:
    """The value, or None where it is none or no number."""
    return value if value is not None and math.isfinite(value) else None


def key_breaks(key: str) -> Markup:
    """A setting's key that breaks where a reader would break it."""
    return Markup("<wbr>").join(re.split(r"(?<=[._])", key))
