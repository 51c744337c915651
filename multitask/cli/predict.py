"""``multitask predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from multitask.cli.options import (
    UNREADABLE,
    FilePath,
    box_columns_option,
    complete_names,
    device_option,
    extensions_option,
    group_column_option,
    groups_by_folder_option,
    output_option,
    path_column_option,
    quiet_option,
    refuse_ignored,
    run_argument,
    views_except_option,
    views_option,
)
from multitask.cli.work import over_processes
from multitask.errors import UserError
from multitask.utils.ranks import ranks

if TYPE_CHECKING:
    from multitask.runs.out_of_fold import OutOfFold

_OF_SUBMISSIONS = ("run", "paths", "data", "output", "allow_extensions", "quiet")


@click.command()
@run_argument
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--data", type=FilePath, help="Instead of PATHs: a data root; its layout says which images to answer.")
@output_option("output", help="The file to write: .csv, .json, .jsonl or .parquet.", required=True)
@click.option(
    "--probabilities", is_flag=True, help="Write those of all labels and classes, not of the predicted alone."
)
@click.option(
    "--on-error",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="An image that cannot be read: write nothing, or a row with the reason, and exit with code 3.",
)
@click.option(
    "--coverage", type=float, help="Write sets of labels that hold the right one with this probability, as 0.9."
)
@click.option(
    "--sets",
    type=click.Choice(["lac", "aps", "aps-randomised"]),
    default="lac",
    show_default=True,
    help="Of --coverage: the smallest sets, or adaptive ones, larger where RUN is unsure.",
)
@click.option(
    "--max-risk", type=float, help="Write whether to ask a human, so that of the others at most this share is wrong."
)
@click.option(
    "--prior-shift",
    is_flag=True,
    help="Answer as where labels are as frequent as they are estimated to be among these images.",
)
@views_option
@views_except_option
@path_column_option
@group_column_option
@groups_by_folder_option
@box_columns_option
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    shell_complete=complete_names("multitask.inference.engines.ENGINES", "auto"),
    help="What computes; auto: the fastest for RUN.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8", "bf16"]),
    help="That the engine computes in; bf16: openvino, where the processor has it.",
)
@device_option
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="Images computed at a time; as in training if not given."
)
@extensions_option
@quiet_option
@over_processes("nothing was written")
def command(
    run: Path,
    paths: tuple[str, ...],
    data: Path | None,
    output: Path,
    probabilities: bool,
    on_error: str,
    coverage: float | None,
    sets: str,
    max_risk: float | None,
    prior_shift: bool,
    views: str,
    views_except: tuple[str, ...],
    path_column: str,
    group_column: str | None,
    groups_by_folder: bool,
    box_columns: tuple[str, str, str, str] | None,
    engine: str,
    precision: str | None,
    device: str | None,
    batch_size: int | None,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Answer images with RUN, a run's folder or an exported file.

    PATH is an image, a folder, a table (.csv, .tsv, .parquet), a list of paths (.txt; - is standard input), or a
    pattern in quotes. The file is written when every image is answered, and not before.

    Over several processes: torchrun --nproc-per-node N -m multitask predict RUN PATH -o FILE.
    """
    here = ranks()
    quiet = quiet or not here.is_main
    if data is not None:
        _check_only_data(paths)
        _write_submission(run, data, output, allow_extensions, quiet)
        return
    if not paths:
        raise UserError("name the images to answer: PATHs (images, folders, tables, lists, patterns), or --data ROOT")
    if here.size > 1 and "-" in paths:
        raise UserError(
            f"-: standard input is read by one process, but WORLD_SIZE is {here.size}; write its lines to a file that "
            "ends in .txt, and name that"
        )

    from multitask.inference.engines import engine_settings
    from multitask.inference.inputs import InputOptions, NamedInputs
    from multitask.inference.outputs import writer_of
    from multitask.inference.predict_files import check_output, predict_files
    from multitask.inference.predictor import Predictor
    from multitask.reporting.console import say_wrapped
    from multitask.reporting.progress import make_progress

    here.from_main(lambda: writer_of(output).__name__)
    if precision and engine == "auto":
        raise UserError("--precision: is an engine's; name that, as --engine openvino")
    if prior_shift and views:
        raise UserError("--prior-shift: is estimated on images as they are; leave out --views")
    if not run.exists():
        raise UserError(f"{run}: no such run or exported file")
    skip = on_error == "skip"
    inputs = NamedInputs(paths, InputOptions(path_column, group_column, box_columns, groups_by_folder, skip))
    here.from_main(lambda: check_output(output, inputs))
    labelled = _labelled(run, allow_extensions) if prior_shift else None
    predictor = Predictor.load(
        run,
        engine=engine_settings(engine, precision) if precision else engine,
        device=device,
        views=views.split(",") if views else (),
        views_except=views_except,
        allow_extensions=allow_extensions,
    )
    progress = make_progress(quiet)
    if not predictor.spec.temperatures:
        progress.note(
            f"{predictor.spec.run}: probabilities are not calibrated, since nobody validated; `multitask evaluate` "
            "calibrates them where somebody does"
        )
    try:
        counts = predict_files(
            predictor,
            inputs,
            output,
            progress,
            probabilities=probabilities,
            skip_unreadable=skip,
            batch_size=batch_size,
            coverage=coverage,
            max_risk=max_risk,
            sets=sets,
            labelled=labelled,
        )
    finally:
        progress.close()
    if not quiet:
        say_wrapped(f"{output}: {counts}")
    if counts.unreadable and here.is_main:  # the launcher ends the others of one that fails
        sys.exit(UNREADABLE)


def _labelled(run: Path, allow_extensions: bool) -> OutOfFold:
    from multitask.runs.config import read_run
    from multitask.runs.out_of_fold import read_out_of_fold

    if not run.is_dir():
        raise UserError(f"--prior-shift: needs a run's folder, whose groups that validated {run} does not hold")
    return read_out_of_fold(read_run(run, allow_extensions=allow_extensions))


def _check_only_data(paths: tuple[str, ...]) -> None:
    """Refuses what says anything of PATHs beside --data.

    Raises:
        UserError: something does.
    """
    if paths:
        raise UserError(f"--data: it, too, says which images to answer; leave it out, or the path {paths[0]}")
    refuse_ignored(lambda name: name not in _OF_SUBMISSIONS, "it is for PATHs, and --data answers as its layout asks")


def _write_submission(run: Path, data: Path, output: Path, allow_extensions: bool, quiet: bool) -> None:
    from multitask.runs.config import read_run

    if output.suffix.lower() in (".json", ".jsonl", ".parquet"):
        raise UserError(f"{output}: --data writes the CSV file that its layout asks for; name one that ends in .csv")
    trained = read_run(run, allow_extensions=allow_extensions)

    # Only now: what follows takes seconds to import.
    from multitask.reporting.console import say_wrapped
    from multitask.reporting.progress import make_progress
    from multitask.runs.predict import write_submission
    from multitask.utils.spelling import plural

    progress = make_progress(quiet)
    try:
        num = write_submission(trained, data, output, progress)
    finally:
        progress.close()
    if not quiet:
        say_wrapped(f"{plural(num, 'answer', 'answers')} in {output}")
