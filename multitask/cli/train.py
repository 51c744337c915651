"""``multitask train``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

import click

from multitask.cli.options import FilePath, config_argument, quiet_option, set_option


@click.command()
@config_argument
@set_option
@click.option("--out", type=FilePath, help="The run folder.  [default: runs/CONFIG-DATE-TIME]")
@click.option("--resume", is_flag=True, help="Go on from the last finished epoch of the run in --out.")
@quiet_option
def command(config: Path, overrides: tuple[str, ...], out: Path | None, resume: bool, quiet: bool) -> None:
    """Train the run of CONFIG, a YAML file, and report on the people who validate."""
    from multitask.config import load_config
    from multitask.errors import UserError
    from multitask.runs.folder import new_folder

    if resume and out is None:
        raise UserError("--resume: needs --out, the folder of the run to go on with")
    settings = load_config(config, overrides)
    train_and_report(settings, out or new_folder(Path("runs"), config.stem), resume, quiet)


def train_and_report(settings: object, out: Path, resume: bool, quiet: bool) -> None:
    """Trains with progress, shows the report and draws its page; stops cleanly on Ctrl-C and on SIGTERM."""
    from multitask.config import Config
    from multitask.finished import write_page
    from multitask.reporting.console import command_line, fail, make_progress, show_paths, show_report
    from multitask.run import run
    from multitask.runs.folder import RunFolder

    assert isinstance(settings, Config)
    signal.signal(signal.SIGTERM, _interrupt)
    progress = make_progress(quiet)
    try:
        result = run(settings, out, resume=resume, progress=progress)
    except KeyboardInterrupt:
        progress.close()
        folder = RunFolder(out)
        if not folder.exists():
            fail("interrupted before training began; nothing was written")
        else:
            done = len(folder.read_history())
            again = command_line("multitask", "train", folder.config, "--out", out, "--resume")
            fail(f"interrupted; {done} finished epochs are saved. Go on with: {again}")
        sys.exit(130)
    finally:
        progress.close()
    if result.report is not None:
        page = write_page(result.folder, settings, "val")
        if not quiet:
            show_report(result.report)
            show_paths({"run": out, "report": page})
    elif not quiet:
        show_paths({"run": out})


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
