"""Views: the networks as they are, each image answered several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from multitask.config import Config
from multitask.errors import UserError
from multitask.recipe.stage import CannotHoldError, Proposal, StagePlan, StageSettings
from multitask.recipe.stages.candidates import AS_IT_STANDS
from multitask.reporting.recipe.report_schema import Tried
from multitask.reporting.study.text import time_text

if TYPE_CHECKING:
    from multitask.evaluation.report_schema import RunReport
    from multitask.evaluation.views import Views
    from multitask.recipe.lab import Lab

_USUAL = (("flip",), ("flip", "shift", "scale"))


class ViewsStageSettings(StageSettings):
    """The judged networks answer each image by test-time views too, as of ``multitask evaluate --views``.

    Nothing is trained. Where it is kept, the run in folds, and an ensemble that is made after, answer those who
    validate likewise, so that new images keep their promises with the same ``--views``.
    """

    name: Literal["views"] = "views"
    title: ClassVar[str] = "Views"
    changes_config: ClassVar[bool] = False
    requires: ClassVar[str] = "folds"
    trains: ClassVar[bool] = False
    asks_networks: ClassVar[bool] = True
    sets: Annotated[tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...], Field(min_length=1)] | None = None
    """That are tried, as ``[[flip], [flip, shift, scale]]``, which are those of None; it leaves out ``flip`` where
    ``augment.flip`` says that left and right may not be swapped."""

    def check(self, base: Config) -> None:
        """There are such views, and images may be mirrored where one does it."""
        self._views(base)

    def _views(self, base: Config) -> list[Views]:
        from multitask.evaluation.views import Views

        may_flip = bool(base.augment.flip)
        sets = self.sets
        if sets is None:
            sets = _USUAL if may_flip else tuple(rest for one in _USUAL if (rest := one[1:]))
        try:
            found = [Views.parse(one, (), base.space(), may_flip) for one in sets]
        except UserError as error:
            raise ValueError(f"sets: {str(error).removeprefix('views: ')}") from None
        return [views for views in found if views is not None]

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        """All sets answered of those who pick, and the longest of those who judge and of the run in folds."""
        if lab.in_folds is None:
            raise CannotHoldError("there is no run in folds, which would answer by them")
        num = [views.num_answers for views in self._views(lab.base)]
        seconds = sum(lab.costs.answering_seconds(one, val=sum(num), test=max(num)) for one in lab.standing)
        config, num_folds = lab.in_folds_config()
        in_folds = config.with_changes({"data.folds": num_folds})
        seconds += lab.costs.answering_seconds(in_folds, num_folds, val=max(num))
        if seconds > left_s:
            raise CannotHoldError(f"answering each image up to {max(num)} times takes about {time_text(seconds)}")
        return StagePlan(seconds, lab.standing[0].training.epochs)

    def perform(self, lab: Lab, plan: StagePlan) -> Proposal:
        """The views that are best on the groups that pick, in the mean of the judged runs."""
        sets = self._views(lab.base)
        plain = [run.folder.read_report() for run in lab.judged_runs()]
        tried = [Tried(AS_IT_STANDS, {}, mean_score(lab, plain))]
        for views in sets:
            score = mean_score(lab, lab.answer(self.name, views, "val"))
            tried.append(Tried(", ".join(views.kinds), {"--views": ",".join(views.kinds)}, score))
        best = max(range(len(tried)), key=lambda place: tried[place].score or 0.0)
        rows = [replace(one, picked=place == best) for place, one in enumerate(tried)]
        if best == 0:
            return Proposal({}, rows, "Nothing was ahead of one answer for each image on the groups that pick.")
        views = sets[best - 1]
        lab.answer(self.name, views, "test")
        note = f"Each image is answered {views.num_answers} times, by the same networks."
        return Proposal({}, rows, note, answers=lab.viewed(views), views=views.kinds)

    def leave(self, lab: Lab, plan: StagePlan) -> tuple[dict[str, str], str]:
        """What the run in folds answers by them."""
        from multitask.recipe.for_use import answer_by_views

        assert lab.in_folds is not None, "as was planned"
        report, line = answer_by_views(lab, lab.in_folds.path)
        return {"report": report}, f"For use: `{line}`."


def mean_score(lab: Lab, reports: Sequence[RunReport]) -> float | None:
    """The mean of the recipe's metric over runs; None where the images of one have no such label."""
    from multitask.bakeoff.comparison import known_score

    scores = [known_score(report, lab.settings.metric) for report in reports]
    known = [score for score in scores if score is not None]
    return fmean(known) if len(known) == len(scores) else None
