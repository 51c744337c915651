"""A whole job: images that paths name, answered, and written to a file."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from multitask.errors import UserError
from multitask.evaluation.conformity import LAC
from multitask.inference.inputs import NamedInputs
from multitask.inference.kept_outputs import AnsweredBatch, Computed
from multitask.inference.outputs import RowLayout, Rows, open_writer, writer_of
from multitask.inference.predictor import Predictor
from multitask.inference.several_processes import check_job, own_inputs
from multitask.inference.stream import InputBatch
from multitask.progress import Progress
from multitask.utils.in_turn import in_turn
from multitask.utils.ranks import ranks

if TYPE_CHECKING:
    from multitask.runs.out_of_fold import OutOfFold


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
    if not os.access(output.parent, os.W_OK):
        raise UserError(f"{output}: the folder {output.parent} cannot be written to")
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
    coverage: float | None = None,
    max_risk: float | None = None,
    sets: str = LAC.name,
    labelled: OutOfFold | None = None,
) -> JobCounts:
    """Answers images and writes a row for each, in their order; a batch at a time, so that there may be millions.

    Over several processes each computes every ``size``-th batch, rank 0 decides and writes, and all return the same.

    Args:
        predictor: that answers.
        inputs: the images.
        output: the file, of a format of ``WRITERS``; written whole, or left as it is.
        progress: notified of every step of the work.
        probabilities: whether to write those of all labels and classes rather than of the predicted alone.
        skip_unreadable: whether an image that cannot be read becomes a row with the reason; else it is an error.
        batch_size: how many are computed at a time; None: as many as in training.
        coverage: of the sets to give beside, as of ``Predictor.promises``; None: no sets.
        max_risk: above which ``ask`` says so, likewise; None: it says nothing.
        sets: how they are made, likewise.
        labelled: what the run said of groups that it did not train on, so that images are answered under the prior that
            is estimated on them; None: under the old one.

    Raises:
        UserError: an image cannot be read; no prior is identifiable; the run's crop needs boxes and the inputs have
            none, or the other way round; the inputs have groups, and no task of the run is per group; the output cannot
            be written; or as of ``Predictor.promises``.
    """
    here = ranks()
    here.from_main(lambda: check_output(output, inputs))
    _check_boxes(predictor, inputs)
    layout = RowLayout(probabilities, inputs.has_groups, skip_unreadable)
    if layout.errors and "error" in predictor.space.task_names:
        raise UserError("--on-error skip: its column error would be that of the task error; leave it out")
    if labelled is not None and (coverage is not None or max_risk is not None):
        raise UserError(
            "--prior-shift: prediction sets and risks are calibrated under the prior of the groups that validated; "
            "leave out the one or the others"
        )
    promises = predictor.promises(coverage, max_risk, sets, for_groups=inputs.has_groups)
    check_job(predictor, inputs, repr((layout, batch_size, coverage, max_risk, sets, labelled is None)), here)
    for note in [*inputs.notes, *promises.notes]:
        progress.note(note)
    done = progress.answering(inputs.count)

    def answered(computed: Iterable[Computed]) -> Iterable[AnsweredBatch]:
        if labelled is not None:
            from multitask.inference.prior_shift import answer_shifted  # and with it pandas

            return answer_shifted(predictor, labelled, computed, inputs.has_groups, progress)
        if inputs.has_groups:
            return predictor.answer_groups(computed, coverage, max_risk, sets)
        return (predictor.answer(one, promises) for one in computed)

    size = batch_size or predictor.spec.batch_size
    began, counts = time.monotonic(), JobCounts(0, 0, 0.0)
    with closing(predictor.batches(own_inputs(inputs, size, here), size)) as batches:
        own = predictor.compute(batches if skip_unreadable else _all_readable(batches))
        computed = _counted(in_turn(own, here), done)
        if not here.is_main:
            deque(computed, maxlen=0)  # all go to rank 0, which writes
        else:
            with open_writer(output, layout) as writer:
                for batch in answered(computed):
                    rows = Rows(batch.inputs, batch.predictions, batch.errors)
                    writer.write(rows)
                    counts = replace(
                        counts, images=counts.images + len(rows), unreadable=counts.unreadable + len(rows.errors)
                    )
    return here.from_main(lambda: replace(counts, seconds=time.monotonic() - began))


def _all_readable(batches: Iterable[InputBatch]) -> Iterator[InputBatch]:
    """The batches; an error where an image cannot be read."""
    for batch in batches:
        for error in batch.errors.values():
            raise error
        yield batch


def _counted(computed: Iterable[Computed], done: Callable[[int], None]) -> Iterator[Computed]:
    """What was computed, counted once it is answered or kept."""
    num = 0
    for batch, outputs in computed:
        yield batch, outputs
        num += len(batch.inputs)
        done(num)


def _check_boxes(predictor: Predictor, inputs: NamedInputs) -> None:
    """Refuses a run that crops each image to a box of its own where there are no boxes, and the other way round.

    Raises:
        UserError: it is such a one.
    """
    if predictor.needs_boxes and predictor.spec.crop.reads == "eyes":
        raise UserError(
            "--data: the run aligns images by eyes that a table names; --data ROOT answers those of a data root, and "
            "a run with data.crop.model any"
        )
    if predictor.needs_boxes and not inputs.has_boxes:
        raise UserError(
            "--box-columns: the run crops each image to a box of its own; give a table of images and the columns of "
            "left, top, right and bottom"
        )
    if inputs.has_boxes and not predictor.needs_boxes:
        raise UserError("--box-columns: would be ignored: the run's crop takes no boxes from a table")
