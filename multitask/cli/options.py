"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

FilePath = click.Path(path_type=Path)

UNREADABLE = 3
"""The exit code where images could not be read, and the others were answered."""


def complete_runs(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """For arguments that are runs."""
    from multitask.cli import completion

    return completion.runs(ctx, param, begun)


def _complete_settings(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    from multitask.cli import completion

    return completion.settings(ctx, param, begun)


config_argument = click.argument("config", type=FilePath)
run_argument = click.argument("run", type=FilePath, shell_complete=complete_runs)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=_complete_settings,
    help="Change a setting; the value is read as YAML.",
)
extensions_option = click.option(
    "--allow-extensions",
    is_flag=True,
    help="Run the code that the config names under extensions; it can do anything that you can.",
)
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
data_option = click.option(
    "--data", type=FilePath, help="The data root, where it is not where the run was trained.", default=None
)
views_option = click.option(
    "--views",
    default="",
    metavar="VIEW,...",
    help="Answer each image several times and average: flip, shift, scale, several with commas.",
)
views_except_option = click.option(
    "--views-except", multiple=True, metavar="TASK:VIEW", help="A task that does without a view, as hand:flip."
)
