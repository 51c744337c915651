"""The report of a bake-off: put together from its runs and costs, and read back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from multitask.bakeoff.comparison import compared, sentences
from multitask.bakeoff.folder import BakeoffFolder
from multitask.bakeoff.plan import Plan
from multitask.bakeoff.runs import BakeoffRun
from multitask.errors import UserError
from multitask.reporting.bakeoff.page import render_bakeoff
from multitask.reporting.bakeoff.report_schema import BakeoffReport, Budget, ContenderFacts, TrainingMemory, TuningRun
from multitask.reporting.stored_report import draw_page
from multitask.settings import Changes
from multitask.utils.records import read_record


def summarise_bakeoff(
    plan: Plan,
    created: str,
    runs: list[BakeoffRun],
    tuning: Mapping[str, tuple[TuningRun, ...]],
    chosen: Mapping[str, Changes],
    memory: Mapping[str, TrainingMemory],
    inference: Mapping[str, float],
) -> BakeoffReport:
    """The report of a bake-off whose runs are all done.

    Args:
        plan: the file, made out.
        created: when the bake-off began.
        runs: all that are compared.
        tuning: by contender, what was tried; empty where nothing was tuned.
        chosen: by contender, the tuned values.
        memory: by contender, of one training batch.
        inference: by contender, images per second that are answered.

    Raises:
        UserError: the reference has no score; or files are gone or damaged.
    """
    settings = plan.settings
    points = tuple(
        compared(
            settings,
            point,
            {row.name: [one for one in runs if one.contender is row and one.point == point] for row in plan.contenders},
        )
        for point in settings.points
    )
    sources = {one.contender.name: one.source.contender.name for one in runs if one.source is not None}
    return BakeoffReport(
        bakeoff=settings.name,
        created=created,
        base=Path(settings.base).name,
        metric=settings.metric,
        reference=settings.compared_with,
        sentences=tuple(sentences(settings, points)),
        tasks=plan.space.task_names,
        seeds=tuple(settings.seeds),
        num_folds=settings.folds,
        num_passes=settings.num_passes,
        budget=None if settings.budget is None else Budget(settings.budget.images, settings.budget.seconds),
        axis=None if settings.axis is None else tuple(settings.points),
        tune={key: tuple(values) for key, values in settings.tune.items()},
        contenders=tuple(
            ContenderFacts(
                name=row.name,
                config=row.config.name,
                changes=row.own,
                tuned=chosen[row.name],
                tuning=tuning.get(row.name, ()),
                answered_from=sources.get(row.name),
                training_memory=memory[row.name],
                inference_images_per_s=inference[row.name],
            )
            for row in plan.contenders
        ),
        points=points,
    )


def read_bakeoff_report(path: Path) -> tuple[BakeoffFolder, BakeoffReport]:
    """The report of a bake-off that came to its end.

    Raises:
        UserError: there is none yet.
    """
    folder = BakeoffFolder(path)
    if not folder.report.is_file():
        raise UserError(f"{path}: its bake-off has no report yet; the line that began it goes on with it")
    return folder, read_record(folder.report, BakeoffReport)


def draw_bakeoff(folder: BakeoffFolder) -> BakeoffReport:
    """Draws the page of a bake-off that has its report; returns that."""
    return draw_page(folder.report, BakeoffReport, folder.page, render_bakeoff)
