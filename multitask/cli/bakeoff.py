"""``multitask bakeoff``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from multitask.cli.options import FilePath, extensions_option, quiet_option, set_option


@click.command()
@click.argument("file", type=FilePath)
@set_option
@click.option("--out", type=FilePath, help="The bake-off's folder.  [default: runs/NAME]")
@extensions_option
@quiet_option
def command(file: Path, overrides: tuple[str, ...], out: Path | None, allow_extensions: bool, quiet: bool) -> None:
    """Compare the contenders that FILE, a YAML file, names; the same line goes on with what was begun.

    --set changes a setting for all contenders alike.
    """
    from multitask.bakeoff.plan import load_bakeoff

    plan = load_bakeoff(file, overrides, allow_extensions=allow_extensions)

    # Only now: what follows takes seconds to import.
    from multitask.bakeoff.bakeoff import run_bakeoff
    from multitask.bakeoff.folder import BakeoffFolder
    from multitask.reporting.bakeoff.console import show_bakeoff
    from multitask.reporting.console import fail, show_paths
    from multitask.reporting.study.console import make_study_progress

    folder = BakeoffFolder(out or Path("runs") / plan.settings.name)
    progress = make_study_progress(quiet)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = None
    try:
        report = run_bakeoff(plan, folder, progress)
    except KeyboardInterrupt:
        pass  # and with it goes all that was under way, the thread that makes batches too, before the process does
    finally:
        progress.close()
    if report is None:
        if folder.exists():
            fail(
                f"interrupted; all finished epochs are saved in {folder.path}. The same line goes on with the bake-off"
            )
        else:
            fail("interrupted before the first run; nothing was written")
        sys.exit(130)
    if not quiet:
        show_bakeoff(report)
        show_paths({"bake-off": folder.path, "page": folder.page})
