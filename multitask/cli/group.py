"""The group of commands: one file per command, imported only when that command is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from multitask import __version__
from multitask.cli import COMMANDS, SEVERAL_PROCESSES
from multitask.errors import UserError, nearest
from multitask.utils.ranks import refuse_several

if "_MULTITASK_COMPLETE" in os.environ:  # click looks for the scripts of shells among the classes that it knows
    importlib.import_module("multitask.cli.completion")


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"multitask.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:  # click would say "Aborted!" and exit with 1
            if line := str(stop):  # says what is saved
                from multitask.reporting.console import fail

                fail(line)
            else:
                click.echo("error: interrupted", err=True)
            sys.exit(130)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise UserError(f"no command {args[0]!r}{nearest(args[0], COMMANDS)}")
        if args and args[0] in COMMANDS and args[0] not in SEVERAL_PROCESSES:
            refuse_several(args[0])
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table, so that help imports no command.
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _install_completion(ctx: click.Context, param: click.Parameter, shell: str | None) -> None:
    if shell is None or ctx.resilient_parsing:  # as at every other call, which waits for no import
        return
    from multitask.cli.completion import install

    install(ctx, shell)


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="multitask")
@click.option(
    "--install-completion",
    is_flag=False,
    flag_value="",
    is_eager=True,
    expose_value=False,
    metavar="[SHELL]",
    callback=_install_completion,
    help="Complete commands, settings and runs in this shell, or in bash, zsh or fish.",
)
def cli() -> None:
    """Image classification where a class is a product of factors: one shared backbone, one head per factor."""
