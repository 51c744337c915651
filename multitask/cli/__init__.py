"""The command line: one file per command, imported only when that command is called."""

from __future__ import annotations

import errno
import importlib
import os
import sys

import click

from multitask import __version__
from multitask.errors import UserError, nearest

COMMANDS = {
    "demo": "Draw a set, train on it, evaluate and answer: the whole path in three minutes.",
    "synth": "Draw a synthetic set in the competition's layout.",
    "eda": "Look at the data before anything is learned of it.",
    "train": "Train a config's run and report on the people who validate.",
    "study": "Tune settings with Optuna, and confirm that the gain is real.",
    "bakeoff": "Compare contenders on equal terms, person by person.",
    "evaluate": "Score a run on one of its splits.",
    "audit": "Find labels that are probably wrong, and train again on corrections.",
    "predict": "Answer new pictures with a run.",
    "report": "Show a run's report and draw its page.",
    "runs": "List runs with their scores.",
    "compare": "Show what differs between runs, in settings and in scores.",
    "config": "Print a config resolved, or what is wrong with it.",
    "cache": "Show or clear what is kept on disk of decoded pictures.",
    "bench": "Measure speed on this machine, as ratios.",
}
"""The table of commands: each is ``command`` in the module of its name."""

# What a user can mend: a full disk, a quota, a file too large, a place where one may not write or that is no folder.
_MENDABLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR
}  # fmt: skip


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"multitask.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise UserError(f"no command {args[0]!r}{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table, so that help imports no command.
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="multitask")
def cli() -> None:
    """Image classification where a class is a product of factors: one shared backbone, one head per factor."""


def main() -> None:
    """The console script. What a user can mend is one line on the error stream and exit code 2."""
    # Of children, those too that libraries start: a file in the working folder never stands in for a module.
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        cli()
    except UserError as error:
        message = str(error)
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        message = f"{error.filename or 'a file'}: {error.strerror}"
    else:
        return
    from multitask.reporting.console import fail

    fail(message)
    sys.exit(2)
