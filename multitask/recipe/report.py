"""The report of a recipe: put together from its stages, and read back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.intervals import LEVEL
from multitask.evaluation.predictions import Predictions
from multitask.recipe.folder import RecipeFolder
from multitask.recipe.lab import Lab
from multitask.recipe.settings import Plan
from multitask.recipe.verdicts import Judges
from multitask.reporting.recipe.page import render_recipe
from multitask.reporting.recipe.report_schema import RecipeReport, StageReport
from multitask.reporting.recipe.text import recipe_sentences
from multitask.reporting.stored_report import draw_page
from multitask.settings import Changes
from multitask.utils.files import write_atomically
from multitask.utils.records import read_record, record_to_json


def summarise_recipe(
    plan: Plan,
    created: str,
    reports: Sequence[StageReport],
    lab: Lab,
    num_pick_groups: int,
    judges: Judges,
    first: Sequence[Predictions],
) -> RecipeReport:
    """The report of the stages that are done.

    Args:
        plan: the recipe, made out.
        created: when it began.
        reports: of the stages so far.
        lab: as they left it.
        num_pick_groups: groups that validate and whose label of the metric is known.
        judges: of the gains.
        first: the baseline's answers, a pass each.
    """
    settings = plan.settings
    kept = [stage for stage in reports if stage.state == "kept"]
    changes: Changes = {key: value for stage in kept for key, value in stage.changes.items()}
    total = judges.gain(first, lab.answers, LEVEL) if kept else None
    report = RecipeReport(
        recipe=settings.name,
        created=created,
        base=Path(settings.base).name,
        metric=settings.metric,
        budget_s=plan.budget_s,
        spent_s=lab.clock.spent_s,
        alpha=settings.judges.alpha,
        num_judged=settings.num_judged,
        num_folds=settings.judges.folds,
        num_seeds=settings.judges.seeds,
        epochs=lab.epochs,
        num_pick_groups=num_pick_groups,
        tasks=plan.base.space().task_names,
        stages=tuple(reports),
        total=total,
        changes=changes,
        sentences=(),
    )
    return RecipeReport(**{**vars(report), "sentences": tuple(recipe_sentences(report))})


def write_recipe_report(folder: RecipeFolder, report: RecipeReport) -> RecipeReport:
    """Writes ``report.json`` and its page; returns the report as it will be read."""
    write_atomically(folder.report, record_to_json(report))
    return draw_recipe(folder)


def read_recipe_report(path: Path) -> tuple[RecipeFolder, RecipeReport]:
    """The report of a recipe.

    Raises:
        UserError: there is none yet.
    """
    folder = RecipeFolder(path)
    if not folder.report.is_file():
        raise UserError(f"{path}: its recipe has no report yet; the line that began it goes on with it")
    return folder, read_record(folder.report, RecipeReport)


def draw_recipe(folder: RecipeFolder) -> RecipeReport:
    """Draws the page of a recipe that has its report; returns that."""
    return draw_page(folder.report, RecipeReport, folder.page, render_recipe)


def best_yaml(report: RecipeReport, config: Config) -> str:
    """The config that was kept, which can be run as it is, its story in comments above it."""
    lines = [f"The recipe {report.recipe}, begun {report.created}, from {report.base}.", *report.sentences]
    lines += [f"  {key}: {value}" for key, value in report.changes.items()]
    others = [stage for stage in report.kept if stage.files and not stage.changes]
    lines += [f"  {stage.name}: not in this config; it left {', '.join(stage.files.values())}" for stage in others]
    lines += ["", "  command:   multitask train best.yaml --out RUN"]
    return "".join(f"# {' '.join(line.split(chr(10)))}".rstrip() + "\n" for line in lines) + "\n" + config.to_yaml()
