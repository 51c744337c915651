"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

FilePath = click.Path(path_type=Path)

UNREADABLE = 3
"""The exit code where images could not be read, and the others were answered."""


def complete_runs(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """For arguments that are runs."""
    from multitask.cli import completion

    return completion.runs(ctx, param, begun)


def complete_reports(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """For arguments that have a report: runs, studies, bake-offs and recipes."""
    from multitask.cli import completion

    return completion.reports(ctx, param, begun)


def _complete_settings(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    from multitask.cli import completion

    return completion.settings(ctx, param, begun)


def complete_names(table: str, *more: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """For options that name a row of a table, or several rows with commas between them.

    Args:
        table: where it is, as ``multitask.executors.EXECUTORS``.
        more: names that are no rows.
    """

    def complete(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
        from multitask.cli import completion

        return completion.names(table, more, begun)

    return complete


def refuse_ignored(is_ignored: Callable[[str], bool], why: str) -> None:
    """Refuses an option of the running command that the line gives though it would be ignored.

    Args:
        is_ignored: of an option's parameter, as ``group_column``.
        why: the rest of the line.

    Raises:
        UserError: there is one.
    """
    from multitask.errors import UserError

    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is click.core.ParameterSource.COMMANDLINE
        if given and is_ignored(option.name or ""):
            raise UserError(f"{option.opts[-1]}: would be ignored: {why}")


def output_option(name: str, help: str, **more: Any) -> Callable[[F], F]:
    """Where a command writes: ``-o``, ``--out`` or ``--output``, each of which every command takes.

    Args:
        name: of its parameter.
        help: of the option.
        more: as of ``click.option``.
    """
    return click.option("-o", "--out", "--output", name, type=FilePath, help=help, **more)


def executor_option(verb: str) -> Callable[[F], F]:
    """A row of the table of executors, in place of the file's.

    Args:
        verb: what one does for the command.
    """
    return click.option(
        "--executor",
        metavar="NAME",
        shell_complete=complete_names("multitask.executors.EXECUTORS"),
        help=f"What {verb}: processes, submitit, ray.  [default: the file's]",
    )


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
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors and warnings.")
data_option = click.option(
    "--data", type=FilePath, help="The data root, where it is not where the run was trained.", default=None
)
path_column_option = click.option(
    "--path-column", default="path", show_default=True, help="Of tables: the images' paths."
)
group_column_option = click.option(
    "--group-column", help="Of tables: the images' groups, answered as one where a task is a group's."
)
groups_by_folder_option = click.option(
    "--groups-by-folder", is_flag=True, help="The images of a folder are a group, likewise."
)
box_columns_option = click.option(
    "--box-columns",
    nargs=4,
    metavar="LEFT TOP RIGHT BOTTOM",
    default=None,
    help="Of tables: each image's box, where RUN was trained on crops to boxes.",
)
device_option = click.option("--device", help="Where PyTorch computes, as cpu or cuda; RUN's own setting if not given.")
views_option = click.option(
    "--views",
    shell_complete=complete_names("multitask.evaluation.views.VIEWS"),
    default="",
    metavar="VIEW,...",
    help="Answer each image several times and average: flip, shift, scale, several with commas.",
)
views_except_option = click.option(
    "--views-except", multiple=True, metavar="TASK:VIEW", help="A task that does without a view, as hand:flip."
)
