"""``multitask study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from multitask.cli.options import FilePath, executor_option, extensions_option, output_option, quiet_option, set_option
from multitask.cli.work import say_begun, to_the_end

if TYPE_CHECKING:
    from multitask.reporting.study.report_schema import StudyReport


@click.command()
@click.argument("study", type=FilePath)
@click.option("--trials", type=int, help="How many in all, those of earlier launches too.  [default: the file's]")
@click.option("--hours", type=float, help="After which no new trial begins.  [default: the file's]")
@click.option("--workers", type=int, help="Processes that train side by side.  [default: the file's]")
@executor_option("starts them")
@click.option("--storage", metavar="URL", help="A database, to share the study between machines.  [default: in --out]")
@set_option
@output_option("out", help="The study folder.  [default: runs/NAME]")
@click.option("--extend", is_flag=True, help="Go on although space, sampler, pruner or seed have changed.")
@click.option("--confirm", type=int, default=0, metavar="K", help="Run the K best trials and the base again...")
@click.option("--seeds", type=int, default=3, show_default=True, metavar="S", help="... with S fresh seeds and folds.")
@extensions_option
@quiet_option
def command(
    study: Path,
    trials: int | None,
    hours: float | None,
    workers: int | None,
    executor: str | None,
    storage: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
    extend: bool,
    confirm: int,
    seeds: int,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Tune the settings that STUDY, a YAML file, names; the same line goes on with a study that was begun.

    --set changes a setting of the study's base config, for all trials alike.
    """
    from multitask.errors import UserError

    for option, value, least in (("--confirm", confirm, 0), ("--seeds", seeds, 1)):
        if not least <= value <= 1000:
            raise UserError(f"{option}: must be from {least} to 1000, found {value}")
    budget = {"trials": trials, "hours": hours, "workers": workers, "executor": executor}
    say_begun(study, quiet)

    from multitask.study.settings import load_study

    plan = load_study(study, overrides, budget, allow_extensions=allow_extensions)

    # Only now: what follows takes seconds to import.
    from multitask.reporting.console import command_line, say, show_paths
    from multitask.reporting.study.console import make_study_progress, show_study
    from multitask.study.folder import StudyFolder
    from multitask.study.storage import folder_url, for_others, resolved
    from multitask.study.study import run_study

    folder = StudyFolder(out or Path("runs") / plan.settings.name)
    progress = make_study_progress(quiet)

    def say_where() -> None:
        if not quiet:
            address = for_others(resolved(storage)) if storage else folder_url(folder.database)
            say(f"a live page, by the extra [dashboard]: {command_line('optuna-dashboard', address)}")

    def work() -> StudyReport:
        return run_study(
            plan,
            folder,
            progress,
            storage=storage,
            extend=extend,
            confirm=confirm,
            seeds=seeds,
            on_begin=say_where,
        )

    report = to_the_end(
        work,
        folder,
        progress,
        "study",
        unit="trial",
    )
    if not quiet:
        show_study(report)
        show_paths({"study": folder.path, "page": folder.page, "best config": folder.best})
