"""A whole job: images that paths name, answered, and written to a file."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from multitask.errors import UserError
from multitask.inference.inputs import NamedInputs
from multitask.inference.outputs import RowLayout, Rows, open_writer, writer_of
from multitask.inference.predictor import Predictor
from multitask.inference.promises import Promises
from multitask.progress import Progress


@dataclass(frozen=True)
class JobCounts:
    """What a job did.

    Attributes:
        images: how many there were.
        unreadable: how many of them could not be read.
        seconds: from the first image to the file.
    """

    images: int
    unreadable: int
    seconds: float

    def __str__(self) -> str:
        rate = self.images / max(self.seconds, 1e-9)
        unreadable = f", {self.unreadable:,} of them unreadable" if self.unreadable else ""
        noun = "image" if self.images == 1 else "images"
        return f"{self.images:,} {noun}{unreadable}, in {self.seconds:.1f} s, {rate:,.0f}/s"


def check_output(output: Path, inputs: NamedInputs) -> None:
    """Refuses an output that cannot be written, or that would replace what is read.

    Raises:
        UserError: it is such a one.
    """
    writer_of(output)
    for path in inputs.paths:
        if output.exists() and os.path.exists(path) and os.path.samefile(output, path):
            raise UserError(f"{output}: is read, and so cannot be written to; name another file")


def predict_files(
    predictor: Predictor,
    inputs: NamedInputs,
    output: Path,
    progress: Progress,
    *,
    probabilities: bool = False,
    skip_unreadable: bool = False,
    batch_size: int | None = None,
    promises: Promises | None = None,
) -> JobCounts:
    """Answers images and writes a row for each, in their order; a batch at a time, so that there may be millions.

    Args:
        predictor: that answers.
        inputs: the images.
        output: the file, of a format of ``WRITERS``; written whole, or left as it is.
        progress: notified of every step of the work.
        probabilities: whether to write those of all labels and classes rather than of the predicted alone.
        skip_unreadable: whether an image that cannot be read becomes a row with the reason; else it is an error.
        batch_size: how many are computed at a time; None: as many as in training.
        promises: the sets and the risk that were asked for, as of ``Predictor.promises``.

    Raises:
        UserError: an image cannot be read; the run's crop needs boxes and the inputs have none, or the other way
            round; the output cannot be written.
    """
    check_output(output, inputs)
    _check_boxes(predictor, inputs)
    layout = RowLayout(probabilities, inputs.has_groups, skip_unreadable)
    if layout.errors and "error" in predictor.space.task_names:
        raise UserError("--on-error skip: its column error would be that of the task error; leave it out")
    for note in [*inputs.notes, *([promises.note] if promises is not None and promises.note else [])]:
        progress.note(note)
    images = unreadable = 0
    began = time.monotonic()
    with (
        open_writer(output, layout) as writer,
        closing(_answered(predictor, inputs, batch_size, promises, progress)) as batches,
    ):
        for rows in batches:
            if rows.errors and not skip_unreadable:
                raise next(iter(rows.errors.values()))
            writer.write(rows)
            images += len(rows)
            unreadable += len(rows.errors)
    return JobCounts(images, unreadable, time.monotonic() - began)


def _answered(
    predictor: Predictor, inputs: NamedInputs, batch_size: int | None, promises: Promises | None, progress: Progress
) -> Generator[Rows, None, None]:
    """The images' rows, a batch at a time."""
    done = progress.answering(inputs.count)
    num = 0
    with closing(predictor.batches(inputs, batch_size)) as batches:
        for batch in batches:
            yield Rows(batch.inputs, predictor.predict_readable(batch, promises), batch.errors)
            num += len(batch.inputs)
            done(num)


def _check_boxes(predictor: Predictor, inputs: NamedInputs) -> None:
    """Refuses a run that crops each image to a box of its own where there are no boxes, and the other way round.

    Raises:
        UserError: it is such a one.
    """
    if predictor.needs_boxes and not inputs.has_boxes:
        raise UserError(
            "--box-columns: the run crops each image to a box of its own; give a table of images and the columns of "
            "left, top, right and bottom"
        )
    if inputs.has_boxes and not predictor.needs_boxes:
        raise UserError("--box-columns: would be ignored: the run's crop takes no boxes from a table")
