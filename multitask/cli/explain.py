"""``multitask explain``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from multitask.cli.options import (
    UNREADABLE,
    FilePath,
    box_columns_option,
    data_option,
    extensions_option,
    group_column_option,
    groups_by_folder_option,
    output_option,
    path_column_option,
    quiet_option,
    refuse_ignored,
    run_argument,
)
from multitask.errors import UserError

if TYPE_CHECKING:
    from multitask.inference.inputs import NamedInputs
    from multitask.runs.config import TrainedRun

_OF_PATHS = ("path_column", "box_columns", "group_column", "groups_by_folder", "on_error")


@click.command()
@run_argument
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@output_option("output", help="The page to write.  [with --audit: RUN/explain/SPLIT.html]")
@click.option(
    "--limit", type=click.IntRange(1, 1000), help="Images on the page.  [default: 50, with --audit 12]", default=None
)
@click.option("--audit", is_flag=True, help="Measure how much of each head's evidence lies in a box, as the face.")
@click.option("--split", type=click.Choice(["val", "train", "test"]), help="Of --audit: whose images.  [default: val]")
@click.option(
    "--region",
    type=float,
    nargs=4,
    metavar="LEFT TOP RIGHT BOTTOM",
    default=None,
    help="Of --audit: one region of all images instead of boxes, in shares of what the network sees, as 0 0 .25 .25.",
)
@click.option("--face-model", type=FilePath, help="Of --audit: faces, as OpenCV's YuNet in this ONNX file finds them.")
@data_option
@path_column_option
@box_columns_option
@group_column_option
@groups_by_folder_option
@click.option(
    "--on-error",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="An image that cannot be read: write nothing, or name it on the page, and exit with code 3.",
)
@click.option("--engine", default="torch", show_default=True, help="Only torch has the gradients that maps need.")
@extensions_option
@quiet_option
def command(
    run: Path,
    paths: tuple[str, ...],
    output: Path | None,
    limit: int | None,
    audit: bool,
    split: str | None,
    region: tuple[float, float, float, float] | None,
    face_model: Path | None,
    data: Path | None,
    path_column: str,
    box_columns: tuple[str, str, str, str] | None,
    group_column: str | None,
    groups_by_folder: bool,
    on_error: str,
    engine: str,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Show where in images the evidence lies for what RUN predicts: a heat map for each head and for the class.

    PATH is an image, a folder, a table (.csv, .tsv, .parquet), a list of paths (.txt; - is standard input), or a
    pattern in quotes, as predict takes it. With --audit it is the images of a split, and how much of the evidence lies
    in their boxes is measured: a jacket that decides the gender shows by evidence outside the face.
    """
    from multitask.runs.config import read_run

    if output is not None and output.is_dir():
        raise UserError(f"{output}: is a folder; name a file")
    if output is not None and not output.parent.is_dir():
        raise UserError(f"{output}: there is no folder {output.parent}")
    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{output}: is written as a page; name a file that ends in .html")
    if run.is_file():
        raise UserError(f"{run}: an exported file has no gradients to explain with; name the folder of its run")
    if engine not in ("torch", "auto"):
        raise UserError(f"--engine {engine}: only torch has the gradients that maps are made of; leave it out")
    if audit:
        _check_only_audit(paths)
        if region is not None and face_model is not None:
            raise UserError("--region and --face-model: what counts as inside is the one or the other")
        trained = read_run(run, data, allow_extensions=allow_extensions)
        _audit(trained, output, limit or 12, split or "val", region, face_model, quiet)
        return
    for name, value in (("--split", split), ("--region", region), ("--face-model", face_model), ("--data", data)):
        if value is not None:
            raise UserError(f"{name}: would be ignored without --audit; leave it out, or add that")
    if not paths:
        raise UserError("name the images to explain: PATHs (images, folders, tables, lists, patterns), or --audit")
    if output is None:
        raise UserError("-o: name the page to write, as -o why.html")
    read_run(run, allow_extensions=allow_extensions)  # what it lacks is said before the seconds that follow

    from multitask.inference.inputs import InputOptions, NamedInputs

    skip = on_error == "skip"
    inputs = NamedInputs(paths, InputOptions(path_column, group_column, box_columns, groups_by_folder, skip))
    if _explain(run, inputs, output, limit or 50, allow_extensions, skip, quiet):
        sys.exit(UNREADABLE)


def _check_only_audit(paths: tuple[str, ...]) -> None:
    """Refuses what says anything of PATHs beside --audit.

    Raises:
        UserError: something does.
    """
    if paths:
        raise UserError(f"--audit: explains the images of a split; leave out {paths[0]}")
    refuse_ignored(lambda name: name in _OF_PATHS, "it is for PATHs, and --audit explains a split")


def _explain(
    run: Path,
    inputs: NamedInputs,
    output: Path,
    limit: int,
    allow_extensions: bool,
    skip_unreadable: bool,
    quiet: bool,
) -> int:
    """Writes the page; returns how many images could not be read."""
    from datetime import UTC, datetime

    from multitask.inference.explain.explain_files import explain_files
    from multitask.inference.explain.explainer import Explainer
    from multitask.reporting.console import say, show_paths
    from multitask.reporting.explain.page import render_explanations
    from multitask.reporting.progress import make_progress
    from multitask.utils.files import write_atomically
    from multitask.utils.spelling import plural

    explainer = Explainer.load(run, allow_extensions=allow_extensions)
    progress = make_progress(quiet)
    for note in inputs.notes:
        progress.note(note)
    if inputs.count is not None and inputs.count > limit:
        are = "is" if limit == 1 else "are"
        progress.note(f"the first {limit:,} of {inputs.count:,} images {are} explained; --limit takes more")
    try:
        found = explain_files(explainer, inputs, limit, progress, skip_unreadable=skip_unreadable)
    finally:
        progress.close()
    page = render_explanations(
        explainer.spec.run,
        found.explanations,
        found.num_given,
        datetime.now(UTC).isoformat(),
        unreadable=found.unreadable,
    )
    write_atomically(output, page)
    if not quiet:
        if found.unreadable:
            say(f"{plural(len(found.unreadable), 'image', 'images')} could not be read, as the page says")
        show_paths({"page": output})
    return len(found.unreadable)


def _audit(
    trained: TrainedRun,
    output: Path | None,
    limit: int,
    split: str,
    region: tuple[float, float, float, float] | None,
    face_model: Path | None,
    quiet: bool,
) -> None:
    from datetime import UTC, datetime

    from multitask.inference.explain.audit import audit_evidence, audited_runs
    from multitask.inference.explain.parts import choose_part
    from multitask.reporting.console import show_paths
    from multitask.reporting.explain.console import show_evidence
    from multitask.reporting.explain.page import render_explanations
    from multitask.reporting.progress import make_progress
    from multitask.utils.files import write_atomically
    from multitask.utils.records import record_to_json

    runs = audited_runs(trained, split)
    config = trained.config
    preprocessing = config.data.preprocessing(config.model.backbone.normalisation())
    part = choose_part(runs[0][1], preprocessing, region, face_model)
    progress = make_progress(quiet)
    try:
        report, examples = audit_evidence(trained, split, part, runs, progress, limit)
    finally:
        progress.close()
    page = output or trained.folder.path / "explain" / f"{split}.html"
    page.parent.mkdir(exist_ok=True)
    name = trained.folder.name
    text = render_explanations(name, examples, len(examples), datetime.now(UTC).isoformat(), report)
    write_atomically(page, text)
    write_atomically(page.with_suffix(".json"), record_to_json(report))
    if not quiet:
        show_evidence(report)
        show_paths({"page": page, "figures": page.with_suffix(".json")})
