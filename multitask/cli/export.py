"""``multitask export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from multitask.cli.options import data_option, extensions_option, output_option, quiet_option, run_argument

if TYPE_CHECKING:
    from multitask.inference.export.exported import Precision


@click.command()
@run_argument
@output_option("output", help="The .onnx file to write.", required=True)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="fp16: half the file, computed as float32; int8: whole numbers, scaled by training images.",
)
@data_option
@extensions_option
@quiet_option
def command(
    run: Path, output: Path, precision: Precision, data: Path | None, allow_extensions: bool, quiet: bool
) -> None:
    """Write RUN as one ONNX file, once its outputs were compared with the run's."""
    from multitask.inference.export.exported import check_output
    from multitask.runs.config import read_run

    check_output(output)
    trained = read_run(run, data, allow_extensions=allow_extensions)
    if data is not None:  # it is named to check the export with, so nothing else will do
        from multitask.data.dataset import Dataset

        Dataset.read(trained.config.data, trained.config.space(), trained.config.seed)

    # Only now: what follows takes seconds to import.
    from multitask.inference.export.export import export
    from multitask.reporting.console import say_wrapped

    result = export(trained, output, precision)
    if quiet:
        return
    for note in result.notes:
        say_wrapped(f"note: {note}")
    say_wrapped(f"{output}: {result.exported.record.sentence}")
