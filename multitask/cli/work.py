"""Commands that work for long: they say that they began, and go on where they were stopped."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from multitask.progress import StudyProgress
    from multitask.utils.work_folder import WorkFolder

Report = TypeVar("Report")
Params = ParamSpec("Params")


def say_begun(file: Path, quiet: bool) -> None:
    """Says at once that a command was heard: to import what it works with takes seconds."""
    if not quiet:
        click.echo(f"reading {file}, loading PyTorch")


def over_processes(left: str) -> Callable[[Callable[Params, None]], Callable[Params, None]]:
    """Of a command: it works over the processes of a launch, where there are any.

    Args:
        left: as of ``joined``.
    """

    def change(command: Callable[Params, None]) -> Callable[Params, None]:
        @functools.wraps(command)
        def run(*args: Params.args, **kwargs: Params.kwargs) -> None:
            from multitask.utils.process_group import joined

            with joined(left=left):
                command(*args, **kwargs)

        return run

    return change


def to_the_end(
    work: Callable[[], Report], folder: WorkFolder, progress: StudyProgress, what: str, unit: str = "run"
) -> Report:
    """Does the work; Ctrl-C and SIGTERM end the process with code 130, and a line says how to go on.

    Args:
        work: gives the report.
        folder: that it works in.
        progress: closed whatever happens.
        what: goes on with the same line: ``bake-off``.
        unit: what it is made of: of a ``run`` the epochs are saved as they end, of a ``trial`` only the whole.
    """
    from multitask.reporting.console import fail

    try:
        return work()
    except KeyboardInterrupt:
        pass  # and with it goes all that was under way, the thread that makes batches too, before the process does
    finally:
        progress.close()
    if folder.exists():
        saved = "epochs" if unit == "run" else f"{unit}s"
        fail(f"interrupted; all finished {saved} are saved in {folder.path}. The same line goes on with the {what}")
    else:
        fail(f"interrupted before the first {unit}; nothing was written")
    sys.exit(130)
