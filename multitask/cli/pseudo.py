"""``multitask pseudo``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from multitask.cli.options import (
    FilePath,
    device_option,
    extensions_option,
    group_column_option,
    groups_by_folder_option,
    output_option,
    path_column_option,
    quiet_option,
    run_argument,
)

if TYPE_CHECKING:
    from multitask.pseudo.report_schema import PseudoReport
    from multitask.pseudo.rounds_schema import RoundsReport


@click.command()
@run_argument
@click.option(
    "--data", required=True, help="The unlabelled images: a folder; or a table, a list or a pattern, as of predict."
)
@output_option("output", help="The table of labels to write, a .csv file; with --rounds a folder.", required=True)
@click.option(
    "--precision", type=float, default=0.95, show_default=True, help="The share of each label that must be right."
)
@click.option(
    "--certainty",
    type=float,
    default=0.9,
    show_default=True,
    help="The confidence with which it must be, over the groups that RUN did not train on.",
)
@click.option(
    "--balance",
    type=click.Choice(["prior", "none"]),
    default="prior",
    show_default=True,
    help="prior: labels in their estimated shares of the images, within a factor of 2, the surest first.",
)
@click.option("--weight", type=float, default=1.0, show_default=True, help="Of such an image in the loss.")
@click.option("--rounds", type=click.IntRange(min=1), help="Train on the labels, label anew, and so on, so often.")
@click.option(
    "--precision-step", type=float, help="Of --rounds: by how much the precision that is asked for falls each time."
)
@click.option("--config", type=FilePath, help="What is to be trained with the labels.  [default: RUN's own config]")
@path_column_option
@group_column_option
@groups_by_folder_option
@device_option
@extensions_option
@quiet_option
def command(
    run: Path,
    data: str,
    output: Path,
    precision: float,
    certainty: float,
    balance: str,
    weight: float,
    rounds: int | None,
    precision_step: float | None,
    config: Path | None,
    path_column: str,
    group_column: str | None,
    groups_by_folder: bool,
    device: str | None,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Label images without labels, task by task, with the heads of RUN that are sure.

    RUN was trained with --folds, or has groups that validate: on these the precision of each label is estimated. Beside
    the table are written a report (.json) and a config (.yaml) that trains on the table too, as one of several sources.
    With --rounds the folder holds these of each round and the run trained on them; an interrupted line goes on.
    """
    from multitask.config import load_config
    from multitask.errors import UserError
    from multitask.pseudo.settings import PseudoSettings, RoundsSettings
    from multitask.runs.config import read_run
    from multitask.settings import validate

    given = {"precision": precision, "certainty": certainty, "balance": balance, "weight": weight}
    if rounds is None:
        if precision_step is not None:
            raise UserError("--precision-step: would be ignored without --rounds")
        settings = validate(PseudoSettings, given)
    else:
        settings = validate(RoundsSettings, {**given, "rounds": rounds, "precision_step": precision_step or 0.0})
    read_run(run, allow_extensions=allow_extensions)
    wanted = None if config is None else load_config(config, allow_extensions=allow_extensions)

    # Only now: what follows takes seconds to import.
    from multitask.inference.inputs import InputOptions
    from multitask.pseudo.label import label_images
    from multitask.pseudo.rounds import pseudo_rounds
    from multitask.reporting.console import fail, say
    from multitask.reporting.progress import make_progress

    progress = make_progress(quiet)
    how: dict[str, Any] = {
        "options": InputOptions(path_column, group_column, groups_by_folder=groups_by_folder),
        "config": wanted,
        "device": device,
        "progress": progress,
        "allow_extensions": allow_extensions,
    }
    try:
        if isinstance(settings, RoundsSettings):
            in_rounds = pseudo_rounds(run, data, output, settings, **how)
        else:
            report = label_images(run, data, output, settings, **how)
    except KeyboardInterrupt:
        progress.close()
        kept = "finished rounds and epochs are saved; the same line goes on" if rounds else "nothing was written"
        fail(f"interrupted; {kept}")
        sys.exit(130)
    finally:
        progress.close()
    if quiet:
        return
    if isinstance(settings, RoundsSettings):
        _show_rounds(in_rounds, output)
    else:
        _show(report, output)
        if read_run(run, allow_extensions=allow_extensions).folder.num_folds is not None:
            say(
                "all networks of its folds labelled: scores of a run in folds on these labels would owe them a little; "
                "--rounds 1 trains each fold on labels of the network that saw none of its groups"
            )


def _show(report: PseudoReport, output: Path) -> None:
    """What each head labelled, how sure of it, and why nothing where nothing."""
    from multitask.pseudo.label import config_path
    from multitask.pseudo.report_schema import report_path
    from multitask.reporting.console import make_table, say, say_wrapped, score, show_paths, show_table
    from multitask.utils.spelling import plural

    table = make_table(
        f"labels at a precision of {report.precision:g}",
        ["task", "label", "from", "precision", "at least", "prior", "images", "sure"],
        left=2,
    )
    silent = []
    for head in report.heads:
        for rows, of in ((head.labels, ""), (head.group_labels, ", per group")):
            # Of the one and the other there is one count, which stands with the first.
            counted = not of or not head.labels
            for place, row in enumerate(rows):
                prior = "-" if head.prior is None else f"{head.prior.prior[place]:.0%}"
                table.add_row(
                    f"{head.task}{of}",
                    row.label,
                    score(row.threshold),
                    score(row.precision),
                    score(row.precision_low),
                    prior,
                    *((f"{head.given[row.label]:,}", f"{head.sure[row.label]:,}") if counted else ("", "")),
                )
                if row.why:
                    silent.append(f"{head.task}{of} {row.label}: labels nothing: {row.why}")
    show_table(table)
    for line in silent:
        say_wrapped(line)
    for why in [*(head.why_no_prior for head in report.heads), report.why_no_joint_prior]:
        if why:
            say_wrapped(why)
    own = f", {report.num_own:,} more are the run's own" if report.num_own else ""
    if report.num_of_own_groups:
        own += f", {report.num_of_own_groups:,} more are of groups that it knows"
    unreadable = f", {report.num_unreadable:,} more could not be read" if report.num_unreadable else ""
    say(f"{report.num_labelled:,} of {plural(report.num_images, 'image has', 'images have')} a label{own}{unreadable}")
    show_paths({"labels": output, "report": report_path(output), "config": config_path(output)})


def _show_rounds(report: RoundsReport, output: Path) -> None:
    """The rounds side by side."""
    from multitask.pseudo.rounds_folder import RoundsFolder
    from multitask.reporting.console import make_table, say, say_wrapped, score, show_paths, show_table, with_interval

    joint = any(row.macro_f1 is not None for row in report.rounds)
    columns = ["round", "precision", "labelled", *(["joint macro-F1"] if joint else ["task", "macro-F1"])]
    table = make_table(f"rounds after {report.run}", [*columns, "against the first run"])
    for row in report.rounds:
        gains = {one.metric: f"{one.value:+.3f} ({one.low:+.3f} to {one.high:+.3f})" for one in row.differences}
        cells = [str(row.number), score(row.precision), f"{row.num_labelled:,} of {row.num_images:,}"]
        if joint:
            table.add_row(*cells, with_interval(row.macro_f1, row.macro_f1_ci), gains.get("joint.macro_f1", "-"))
            continue
        for task, found in (row.tasks or {}).items():
            table.add_row(*cells, task, score(found), gains.get(f"tasks.{task}.macro_f1", "-"))
            cells = [""] * len(cells)
    show_table(table)
    for row in report.rounds:
        say(f"round {row.number}: {', '.join(f'{num:,} {task}' for task, num in row.given.items())}")
    if report.caveat:
        say_wrapped(f"scores: {report.caveat}")
    folder = RoundsFolder(output)
    show_paths({"report": folder.report, "last run": folder.run(report.rounds[-1].number)})
