"""The sections of a study's page that show plots: each plot with the words beside it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from markupsafe import Markup

from multitask.reporting.study import plots, space_plots, weight_plots
from multitask.reporting.study.plots import Curve
from multitask.reporting.study.report_schema import Param, StudyReport
from multitask.reporting.study.scales import SettingScale
from multitask.reporting.study.text import conditional_text, value_text
from multitask.reporting.study.trial_marks import Mark, ScoreRange
from multitask.reporting.study.trials import StudyTrials, finite, key_breaks
from multitask.reporting.text import score_text
from multitask.reporting.views import PlotView, Row
from multitask.utils.spelling import plural

_COLUMNS = {1: "two", 2: "two", 4: "two"}  # how many plots stand in a row, by their number; "three" for all others

_ROUGH_TRIALS = 50
_MOST_SHARES = 12  # settings whose importance is drawn


@dataclass(frozen=True)
class PlotGrid:
    """Plots in a grid of so many columns, which is a class of the page's style."""

    plots: tuple[PlotView, ...]
    columns: str


@dataclass(frozen=True)
class HistoryView(PlotGrid):
    """Scores trial by trial, and with several objectives two by two."""

    fronts: tuple[PlotView, ...]


@dataclass(frozen=True)
class ImportancesView:
    """The bars, what the rest of the settings has, and what must be known of the shares."""

    plot: Markup
    words: str
    sentence: str
    conditional: bool
    rough: str


@dataclass(frozen=True)
class SlicesView(PlotGrid):
    """Score against each setting; how many scores are not where they belong."""

    outside: str


@dataclass(frozen=True)
class ParallelView:
    """All settings in a plot so many pixels wide; what the ends of the colours stand for."""

    plot: Markup
    ends: tuple[str, str]
    width: int


@dataclass(frozen=True)
class WeightsView:
    """The divisions of the weight between the heads; a row of weights and score for the base and the best."""

    plot: Markup
    ends: tuple[str, str]
    heads: list[str]
    rows: tuple[Row, ...]
    objective: str


@dataclass(frozen=True)
class TradeOffsView(PlotGrid):
    """The tasks' scores two by two; what the ends of the colours stand for."""

    ends: tuple[str, str]


def history(study: StudyTrials) -> HistoryView:
    """Scores trial by trial, a plot per objective, and with several objectives each two of them against each other."""
    drawings = []
    for place, objective in enumerate(study.objectives):
        marks = [study.mark(number, study.score(number, place)) for number in study.trials]
        scores = ScoreRange.of((mark.score for mark in marks), objective.maximize)
        if not any(mark.score is not None for mark in marks):
            continue
        plot = plots.history(
            marks,
            scores,
            ylabel=objective.name,
            key=f"history-{place}",
            label=f"{objective.name} of every trial, with the best so far; {objective.better}",
        )
        title = f"{objective.name} ({objective.better})"
        drawings.append(PlotView(title, Markup(plot), _outside(scores)))
    fronts = []
    for x, y in itertools.combinations(range(len(study.objectives)), 2):
        first, second = study.objectives[x], study.objectives[y]
        points = [(mark, study.score(number, x), study.score(number, y)) for number, mark in study.marks.items()]
        names, maximize = (first.name, second.name), (first.maximize, second.maximize)
        if drawn := _against(points, None, names, f"front-{x}-{y}", maximize):
            words = f"{first.name}: {first.better}; {second.name}: {second.better}. On the line: the best of these two."
            fronts.append(PlotView(" and ".join(names), drawn, words))
    return HistoryView(tuple(drawings), columns(len(drawings) + len(fronts)), tuple(fronts))


def learning(study: StudyTrials) -> PlotGrid:
    """Learning curves of all trials: the joint score, then each task's."""
    drawings = []
    for place, name in enumerate(["joint", *study.tasks]):
        trials = []
        for number, trial in study.trials.items():
            scores = [(row.epoch, row.joint if place == 0 else row.tasks.get(name)) for row in trial.history]
            known = [(epoch, score) for epoch, score in scores if score is not None and math.isfinite(score)]
            if known:
                trials.append(Curve(study.marks[number], *zip(*known, strict=True)))
        if trials:
            label = f"{name} macro-F1 of {plural(len(trials), 'trial', 'trials')} after each epoch"
            plot = plots.curves(trials, ylabel="macro-F1 on validation", key=f"curves-{place}", label=label)
            drawings.append(PlotView(name, Markup(plot)))
    return PlotGrid(tuple(drawings), columns(len(drawings)))


def importances(study: StudyTrials, report: StudyReport) -> ImportancesView | None:
    """How much each setting matters for the score; None where it is unknown."""
    found = (report.importances or {}).items()
    shares = {name: share for name, share in found if share is not None and math.isfinite(share)}
    if not shares:
        return None
    order = sorted(shares, key=lambda name: -shares[name])
    shown, rest = order[:_MOST_SHARES], order[_MOST_SHARES:]
    label = "Importance of each setting: " + "; ".join(f"{name} {shares[name]:.0%}" for name in shown)
    about = report.importances_about
    words = ""
    if rest:
        have = plural(len(rest), "more setting has", "more settings have")
        words = f"{have} {sum(shares[name] for name in rest):.0%} together: {', '.join(rest)}."
    bars = [plots.Importance(name, shares[name], conditional_text(name, about)) for name in shown]
    plot = plots.importances(bars, key="shares", label=label)
    few = about is not None and about.num_trials < _ROUGH_TRIALS
    return ImportancesView(
        plot=Markup(plot),
        words=words,
        sentence=about.sentence if about is not None else "",
        conditional=about is not None and bool(about.conditional),
        rough=f"With fewer than {_ROUGH_TRIALS} finished trials the shares are rough." if few else "",
    )


def slices(study: StudyTrials) -> SlicesView:
    """Score against each setting."""
    drawings = []
    for place, (name, param) in enumerate(study.params.items()):
        trials = [(mark, trial.params[name]) for mark, trial in study.scored if name in trial.params]
        if not trials:
            continue
        plot = space_plots.setting_slice(
            SettingScale(param, (value for _, value in trials)),
            trials,
            study.scores,
            ylabel=study.objectives[0].name,
            key=f"slice-{place}",
            label=f"{study.objectives[0].name} against {name}",
        )
        words = range_text(param)
        if len(trials) < len(study.scored):
            words += f"; {len(trials):,} of {plural(len(study.scored), 'trial has', 'trials have')} it"
        drawings.append(PlotView(key_breaks(name), Markup(plot), words))
    return SlicesView(tuple(drawings), columns(len(drawings)), _outside(study.scores))


def parallel(study: StudyTrials) -> ParallelView | None:
    """All settings of all finished trials in one plot."""
    trials = [(mark, trial.params) for mark, trial in study.scored if mark.state == "finished"]
    tried = {name for _, settings in trials for name in settings}
    scales = {
        name: SettingScale(param, (settings[name] for _, settings in trials if name in settings))
        for name, param in study.params.items()
        if name in tried
    }
    trials = [(mark, settings) for mark, settings in trials if scales.keys() & settings.keys()]
    if not trials:
        return None
    scores = ScoreRange.of((mark.score for mark, _ in trials), study.objectives[0].maximize)
    name = study.objectives[0].name
    label = f"{name} and the settings of {plural(len(trials), 'trial', 'trials')}: {', '.join(scales)}"
    plot = space_plots.parallel(scales, trials, scores, ylabel=name, key="lines", label=label)
    return ParallelView(Markup(plot), scores.ends, space_plots.parallel_width(len(scales)))


def weights(study: StudyTrials) -> WeightsView | None:
    """Where the score is good among all divisions of the weight; None where there is one head, or one division."""
    heads = study.head_names
    trials = []
    for mark, trial in study.scored:
        known = {head: weight for head, weight in (trial.weights or {}).items() if weight is not None}
        if known and known.keys() >= set(heads):
            trials.append((mark, known))
    divisions = {tuple(round(weights[head], 6) for head in heads) for _, weights in trials}
    if len(heads) < 2 or not trials or (len(trials) > 1 and len(divisions) == 1):
        return None
    name = study.objectives[0].name
    plot = weight_plots.head_weights(
        heads,
        trials,
        study.colours,
        ylabel=name,
        key="weights-plot",
        label=f"{name} by the weights of {', '.join(heads)}",
    )
    best = [(mark, weights) for mark, weights in trials if mark.best or mark.base]
    rows = [
        Row.of(trial_name(mark), *(f"{weights[head]:.2f}" for head in heads), score_text(mark.score))
        for mark, weights in sorted(best, key=lambda row: (not row[0].base, row[0].number))
    ]
    return WeightsView(Markup(plot), study.colours.ends, heads, tuple(rows), name)


def trade_offs(study: StudyTrials) -> TradeOffsView:
    """The finished trials' scores on the tasks, two by two."""
    trials = study.trials.items()
    found = {number: trial.scores for number, trial in trials if trial.scores and trial.state == "finished"}
    joint = ScoreRange.of(finite(scores.joint) for scores in found.values())
    drawings = []
    for place, (first, second) in enumerate(itertools.combinations(study.tasks, 2)):
        points = [
            (study.mark(number, finite(scores.joint)), scores.tasks.get(first), scores.tasks.get(second))
            for number, scores in found.items()
        ]
        if plot := _against(points, joint, (f"{first} macro-F1", f"{second} macro-F1"), f"trade-off-{place}"):
            drawings.append(PlotView(f"{first} and {second}", plot))
    return TradeOffsView(tuple(drawings), columns(len(drawings)), joint.ends)


def trial_name(mark: Mark) -> str:
    """``base (trial 0)``, ``trial 17``."""
    return f"base (trial {mark.number})" if mark.base else f"trial {mark.number}"


def range_text(param: Param) -> str:
    """The range of a parameter, as ``float from 0.1 to 1, logarithmic``."""
    if param.kind == "categorical":
        return f"one of {', '.join(value_text(choice) for choice in param.choices or ())}"
    words = f"{param.kind} from {value_text(param.low)} to {value_text(param.high)}"
    if param.step is not None:
        words += f" in steps of {value_text(param.step)}"
    return words + (", logarithmic" if param.log else "")


def columns(number: int) -> str:
    """The grid in which so many plots leave no row nearly empty."""
    return _COLUMNS.get(number, "three")


def _against(
    points: list[tuple[Mark, float | None, float | None]],
    scores: ScoreRange | None,
    names: tuple[str, str],
    key: str,
    maximize: tuple[bool, bool] = (True, True),
) -> Markup | None:
    """Two scores against each other; None where no trial has both."""
    known = [(mark, x, y) for mark, x, y in points if x is not None and y is not None]
    known = [point for point in known if finite(point[1]) is not None and finite(point[2]) is not None]
    if not known:
        return None
    label = f"{names[1]} against {names[0]} of {plural(len(known), 'trial', 'trials')}"
    return Markup(
        space_plots.trade_off(known, scores, xlabel=names[0], ylabel=names[1], key=key, label=label, maximize=maximize)
    )


def _outside(scores: ScoreRange) -> str:
    """Says that some scores are not where they belong."""
    if not scores.num_outside:
        return ""
    worst = score_text(scores.low if scores.maximize else scores.high)
    return f"{plural(scores.num_outside, 'trial', 'trials')} worse than {worst} at the edge."
