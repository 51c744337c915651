"""``multitask bakeoff``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath, executor_option, extensions_option, output_option, quiet_option, set_option
from multitask.cli.work import say_begun, to_the_end


@click.command()
@click.argument("file", type=FilePath)
@executor_option("trains")
@click.option("--workers", type=int, help="Runs that it trains side by side.  [default: the file's]")
@set_option
@output_option("out", help="The bake-off's folder.  [default: runs/NAME]")
@extensions_option
@quiet_option
def command(
    file: Path,
    executor: str | None,
    workers: int | None,
    overrides: tuple[str, ...],
    out: Path | None,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Compare the contenders that FILE, a YAML file, names; the same line goes on with what was begun.

    --set changes a setting for all contenders alike.
    """
    say_begun(file, quiet)

    from multitask.bakeoff.plan import load_bakeoff

    instead = {"executor.name": executor, "workers": workers}
    plan = load_bakeoff(file, overrides, instead, allow_extensions=allow_extensions)

    # Only now: what follows takes seconds to import.
    from multitask.bakeoff.bakeoff import run_bakeoff
    from multitask.bakeoff.folder import BakeoffFolder
    from multitask.reporting.bakeoff.console import show_bakeoff
    from multitask.reporting.console import show_paths
    from multitask.reporting.study.console import make_study_progress

    folder = BakeoffFolder(out or Path("runs") / plan.settings.name)
    progress = make_study_progress(quiet)
    report = to_the_end(lambda: run_bakeoff(plan, folder, progress), folder, progress, "bake-off")
    if not quiet:
        show_bakeoff(report)
        show_paths({"bake-off": folder.path, "page": folder.page})
