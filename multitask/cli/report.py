"""``multitask report``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath, complete_reports, data_option, extensions_option


@click.command()
@click.argument("run", type=FilePath, shell_complete=complete_reports)
@click.option("--storage", metavar="URL", help="A study's database, where it needs a password.", default=None)
@click.option("--split", type=click.Choice(["val", "train", "test", "all", "eval"]), default="val", show_default=True)
@data_option
@extensions_option
def command(run: Path, storage: str | None, split: str, data: Path | None, allow_extensions: bool) -> None:
    """Show the report of RUN, a run folder, a study's, a bake-off's or a recipe's, and draw its page anew."""
    if (run / "recipe.yaml").is_file():
        _report_recipe(run)
        return
    if (run / "bakeoff.yaml").is_file():
        _report_bakeoff(run)
        return
    if (run / "study.yaml").is_file():
        _report_study(run, storage, allow_extensions)
        return
    from multitask.runs.config import read_run

    trained = read_run(run, data, allow_extensions=allow_extensions)
    report = trained.folder.read_report(split)

    # Only now: what follows takes seconds to import.
    from multitask.reporting.console import show_paths
    from multitask.reporting.run.console import show_report
    from multitask.runs.page import write_page

    show_report(report)  # before the page, which a folder of others may refuse
    show_paths({"report": write_page(trained, split)})


def _report_study(path: Path, storage: str | None, allow_extensions: bool) -> None:
    from multitask.reporting.console import show_paths
    from multitask.reporting.study.console import show_study
    from multitask.study.study import read_study, write_study_report

    folder, plan, study = read_study(path, storage, allow_extensions=allow_extensions)
    write_study_report(study, plan, folder, show_study)
    show_paths({"page": folder.page, "best config": folder.best})


def _report_bakeoff(path: Path) -> None:
    from multitask.bakeoff.report import draw_bakeoff, read_bakeoff_report
    from multitask.reporting.bakeoff.console import show_bakeoff
    from multitask.reporting.console import show_paths
    from multitask.reporting.stored_report import reading

    folder, report = read_bakeoff_report(path)
    with reading(folder.report):
        show_bakeoff(report)
    draw_bakeoff(folder)
    show_paths({"page": folder.page})


def _report_recipe(path: Path) -> None:
    from multitask.recipe.report import draw_recipe, read_recipe_report
    from multitask.reporting.console import show_paths
    from multitask.reporting.recipe.console import show_recipe
    from multitask.reporting.stored_report import reading

    folder, report = read_recipe_report(path)
    with reading(folder.report):
        show_recipe(report)
    draw_recipe(folder)
    show_paths({"page": folder.page, "best config": folder.best})
