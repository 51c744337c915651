"""``multitask explain``."""

from __future__ import annotations

from pathlib import Path

import click

from multitask.cli.options import FilePath, extensions_option, quiet_option, run_argument


@click.command()
@run_argument
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("-o", "--output", type=FilePath, required=True, help="The page to write.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Images on the page.")
@click.option("--path-column", default="path", show_default=True, help="Of tables: the images' paths.")
@click.option(
    "--box-columns",
    nargs=4,
    metavar="LEFT TOP RIGHT BOTTOM",
    default=None,
    help="Of tables: each image's box, where RUN was trained on crops to boxes.",
)
@extensions_option
@quiet_option
def command(
    run: Path,
    paths: tuple[str, ...],
    output: Path,
    limit: int,
    path_column: str,
    box_columns: tuple[str, str, str, str] | None,
    allow_extensions: bool,
    quiet: bool,
) -> None:
    """Show where in images the evidence lies for what RUN predicts: a heat map for each head and for the class.

    PATH is an image, a folder, a table (.csv, .tsv, .parquet), a list of paths (.txt; - is standard input), or a
    pattern in quotes, as predict takes it.
    """
    from multitask.errors import UserError
    from multitask.runs.config import read_run

    if not paths:
        raise UserError("name the images to explain: PATHs (images, folders, tables, lists, patterns)")
    if output.is_dir():
        raise UserError(f"{output}: is a folder; name a file")
    if not output.parent.is_dir():
        raise UserError(f"{output}: there is no folder {output.parent}")
    if not run.is_file():
        read_run(run, allow_extensions=allow_extensions)  # what it lacks is said before the seconds that follow

    from multitask.inference.inputs import InputOptions, NamedInputs

    inputs = NamedInputs(paths, InputOptions(path_column, None, box_columns))

    # Only now: what follows takes seconds to import.
    from datetime import UTC, datetime
    from itertools import islice

    from multitask.inference.explain.explainer import Explainer
    from multitask.reporting.console import show_paths
    from multitask.reporting.explain.page import render_explanations
    from multitask.reporting.progress import make_progress
    from multitask.utils.files import write_atomically

    explainer = Explainer.load(run, allow_extensions=allow_extensions)
    progress = make_progress(quiet)
    for note in inputs.notes:
        progress.note(note)
    found = []
    images = iter(inputs)
    try:
        done = progress.stage("explaining", min(limit, inputs.count or limit), "images")
        for batch in explainer.batches(islice(images, limit)):
            for error in batch.errors.values():
                raise error
            found += explainer.explain(batch)
            done(len(found))
    finally:
        progress.close()
    num_given = inputs.count
    if num_given is None and next(images, None) is None:
        num_given = len(found)
    page = render_explanations(explainer.spec.run, found, num_given, datetime.now(UTC).isoformat())
    write_atomically(output, page)
    if not quiet:
        show_paths({"page": output})
