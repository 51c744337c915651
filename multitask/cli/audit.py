"""``multitask audit``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from multitask.cli.options import FilePath, data_option, extensions_option, output_option, quiet_option, run_argument


@click.command()
@run_argument
@output_option("out", help="Where to.  [default: RUN/audit]")
@click.option(
    "--constant",
    multiple=True,
    metavar="TASK",
    help="A task that is the same in all images of a group.  [default: those that are in the given labels]",
)
@click.option(
    "--rank",
    type=click.Choice(["self_confidence", "normalized_margin"]),
    default="self_confidence",
    show_default=True,
    help="What suspects are ranked by.",
)
@click.option("--most", type=click.IntRange(1, 100_000), default=300, show_default=True, help="Suspects on the page.")
@click.option(
    "--apply",
    "file",
    type=FilePath,
    is_flag=False,
    flag_value=Path("-"),
    metavar="[FILE]",
    help="Train again with the corrections in FILE, as the page saves it.  [default: corrections.yaml in --out]",
)
@data_option
@extensions_option
@quiet_option
def command(
    run: Path,
    out: Path | None,
    constant: tuple[str, ...],
    rank: str,
    most: int,
    file: Path | None,
    data: Path | None,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Find the labels that the folds of RUN speak against: a page to review, and corrections to train again with.

    RUN must have been trained with --folds, so that every group is answered by a network that never saw it. What is
    the same in all images of a group is judged on all of them together. With --apply the run is trained again, with the
    corrections, on the same folds, and both are scored on the same groups; where that is interrupted, the same line
    goes on.
    """
    from multitask.errors import UserError
    from multitask.runs.config import read_run

    if constant and file is not None:
        raise UserError("--constant: would be ignored beside --apply; leave it out")
    read_run(run, data, allow_extensions=allow_extensions)  # once imported, extensions need no leave again

    # Only now: what follows takes seconds to import.
    from multitask.audit.folder import AuditFolder

    folder = AuditFolder(out or run / "audit")
    if file is None:
        _find(run, folder, data, constant, rank, most, quiet)
        return
    if file == Path("-"):
        file = folder.accepted
        if not file.is_file():
            raise UserError(
                f"{file}: no such file; save the page's corrections there, or name a file: --apply {folder.suspects} "
                "takes the surest suspects unreviewed"
            )
    _apply(run, folder, data, file, quiet)


def _find(
    run: Path, folder: object, data: Path | None, constant: tuple[str, ...], rank: str, most: int, quiet: bool
) -> None:
    from multitask.audit.find import audit_run
    from multitask.audit.folder import AuditFolder
    from multitask.reporting.audit.console import show_audit
    from multitask.reporting.console import show_paths
    from multitask.reporting.progress import make_progress

    assert isinstance(folder, AuditFolder)
    progress = make_progress(quiet)
    try:
        found = audit_run(
            run,
            folder,
            data=data,
            constant=constant or None,
            rank="normalized_margin" if rank == "normalized_margin" else "self_confidence",
            most=most,
            progress=progress,
        )
    finally:
        progress.close()
    if not quiet:
        show_audit(found)
        show_paths({"review": folder.page, "the surest": folder.suspects, "figures": folder.figures})


def _apply(run: Path, folder: object, data: Path | None, file: Path, quiet: bool) -> None:
    from multitask.audit.apply import apply_corrections
    from multitask.audit.folder import AuditFolder
    from multitask.reporting.audit.console import show_applied
    from multitask.reporting.console import command_line, fail, show_paths
    from multitask.reporting.progress import make_progress
    from multitask.runs.config import read_run
    from multitask.runs.page import write_page

    assert isinstance(folder, AuditFolder)
    progress = make_progress(quiet)
    report = None
    try:
        report = apply_corrections(run, folder, file, data=data, progress=progress)
    except KeyboardInterrupt:
        pass  # and with it goes all that was under way, before the process does
    finally:
        progress.close()
    if report is None:
        words: list[object] = ["multitask", "audit", run, "--out", folder.path, "--apply", file]
        words += [] if data is None else ["--data", data]
        words += ["--allow-extensions"] if read_run(run, data)[1].extensions else []
        fail(f"interrupted; finished epochs are saved. Go on with: {command_line(*words)}")
        sys.exit(130)
    trained = folder.applied / "run"
    if not quiet:
        show_applied(report)
    page = write_page(read_run(trained), "val")
    if not quiet:
        show_paths({"run": trained, "report": page, "figures": folder.report})
