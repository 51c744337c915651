"""``multitask train``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from multitask.cli.options import config_argument, extensions_option, output_option, quiet_option, set_option
from multitask.cli.work import say_begun

if TYPE_CHECKING:
    from multitask.runs.folder import RunFolder


@click.command()
@config_argument
@set_option
@click.option("--folds", type=int, metavar="N", help="Train N networks on folds, so that all validate; see below.")
@output_option("out", help="The run folder.  [default: runs/CONFIG-DATE-TIME]")
@click.option("--resume", is_flag=True, help="Go on from the last finished epoch of the run in --out.")
@extensions_option
@quiet_option
def command(
    config: Path,
    overrides: tuple[str, ...],
    folds: int | None,
    out: Path | None,
    resume: bool,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Train the run of CONFIG, a YAML file, and report on the groups that validate.

    With --folds the groups are dealt into N folds, and a network is trained for each on the others. The report is then
    on all groups, each answered by the one network that never saw it; new images are answered by all N together.

    Over several processes: torchrun --nproc-per-node N -m multitask train CONFIG. All of them train one run; with
    --folds each trains folds of its own.
    """
    from multitask.utils.process_group import joined
    from multitask.utils.ranks import launched

    say_begun(config, quiet or not launched().is_main)

    from multitask.config import load_config
    from multitask.errors import UserError
    from multitask.runs.folder import RunFolder, new_folder

    with joined() as here:
        if resume and out is None:  # of several processes one tells it, once all are there
            raise UserError("--resume: needs --out, the folder of the run to go on with")
        settings = load_config(config, overrides, allow_extensions=allow_extensions)
        where = here.from_main(lambda: out or new_folder(Path("runs"), config.stem))
        here.from_main(lambda: RunFolder(where).claim(resume, folds))  # before PyTorch is imported, which takes seconds
        train_and_report(settings, where, resume, quiet or not here.is_main, folds)


def train_and_report(settings: object, out: Path, resume: bool, quiet: bool, folds: int | None = None) -> None:
    """Trains with progress, shows the report and draws its page; stops cleanly on Ctrl-C and on SIGTERM."""
    from multitask.config import Config
    from multitask.reporting.console import show_paths
    from multitask.reporting.progress import make_progress
    from multitask.reporting.run.console import show_report
    from multitask.runs.config import TrainedRun
    from multitask.runs.cross_validation import run_folds
    from multitask.runs.folder import RunFolder
    from multitask.runs.page import write_page
    from multitask.runs.run import run
    from multitask.utils.process_group import INTERRUPTED
    from multitask.utils.ranks import ranks

    assert isinstance(settings, Config)
    progress = make_progress(quiet)
    result = None
    try:
        if folds is None:
            result = run(settings, out, resume=resume, progress=progress)
        else:
            result = run_folds(settings, folds, out, resume=resume, progress=progress)
    except KeyboardInterrupt:
        pass  # and with it goes all that was under way, the thread that makes batches too, before the process does
    finally:
        progress.close()
    if result is None:
        if ranks().is_main:  # told once the others know of it, who would call this process gone
            raise KeyboardInterrupt(_interrupted(RunFolder(out), bool(settings.extensions)))
        sys.exit(INTERRUPTED)
    if not ranks().is_main:
        return
    if result.report is not None:
        if not quiet:
            show_report(result.report)  # before the page, for which the disk may be too full
        page = write_page(TrainedRun(result.folder, settings), "val")
        if not quiet:
            show_paths({"run": out, "report": page})
    elif not quiet:
        show_paths({"run": out})


def _interrupted(folder: RunFolder, extended: bool) -> str:
    """The line after an interrupt: what was kept, and the command that resumes."""
    from multitask.reporting.console import command_line
    from multitask.utils.ranks import launcher_words
    from multitask.utils.spelling import plural

    if not folder.exists():
        return "interrupted before training began; nothing was written"
    num_folds, in_folds = folder.num_folds, []
    allowed = ["--allow-extensions"] if extended else []
    done = plural(len(folder.read_history()), "finished epoch is", "finished epochs are")
    if num_folds is not None:
        in_folds = ["--folds", num_folds]
        runs = [folder.fold(index) for index in range(num_folds)]
        finished = [run.report().is_file() for run in runs]
        now = sum(len(run.read_history()) for run, done in zip(runs, finished, strict=True) if not done)
        epochs = plural(now, "finished epoch", "finished epochs")
        done = f"{plural(sum(finished), 'finished fold', 'finished folds')} of {num_folds} and {epochs} of others are"
    again = command_line(
        *launcher_words(), "train", folder.config, *in_folds, "--out", folder.path, "--resume", *allowed
    )
    return f"interrupted; {done} saved. Go on with: {again}"
