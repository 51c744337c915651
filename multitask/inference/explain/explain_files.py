"""A whole job: images that paths name, explained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from multitask.errors import UserError
from multitask.evaluation.evidence import Explanation
from multitask.inference.explain.explainer import Explainer
from multitask.inference.inputs import NamedInputs
from multitask.inference.prediction import PredictionBatch
from multitask.inference.stream import ImageInput, InputBatch
from multitask.progress import Progress
from multitask.utils.spelling import plural


@dataclass
class Explained:
    """What a job gave.

    Attributes:
        explanations: in the order of the images.
        unreadable: why images could not be read, each naming its image.
        num_given: how many images there were, of which the explained and the unreadable are the first; None: more than
            these.
    """

    explanations: list[Explanation] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    num_given: int | None = None


def explain_files(
    explainer: Explainer, inputs: NamedInputs, limit: int, progress: Progress, *, skip_unreadable: bool = False
) -> Explained:
    """Explains the first images; where they have groups, what is answered for the group of all of these.

    Args:
        explainer: of the run.
        inputs: the images.
        limit: how many are explained.
        progress: notified of the work.
        skip_unreadable: whether an image that cannot be read is left out and noted; else it is an error.

    Raises:
        UserError: an image cannot be read, or, where these are skipped, none can; the inputs have groups, and no task
            of the run is per group.
    """
    found, images = Explained(), iter(inputs)
    first = list(islice(images, limit + 1))  # and one more, if there is one
    batches: Iterator[tuple[InputBatch, PredictionBatch | None]]
    if inputs.has_groups:
        batches = _of_groups(explainer, chain(first, images), limit)
    else:
        batches = ((batch, None) for batch in explainer.batches(first[:limit]))
    done, num = progress.stage("explaining", min(limit, len(first)), "images"), 0
    for batch, predictions in batches:
        for error in batch.errors.values():
            if not skip_unreadable:
                raise error
            found.unreadable.append(str(error))
        found.explanations += explainer.explain(batch, predictions)
        num += len(batch.inputs)
        done(num)
    if not found.explanations:
        raise UserError(f"none of {plural(num, 'image', 'images')} can be read; the first: {found.unreadable[0]}")
    found.num_given = num if inputs.count is None and len(first) <= limit else inputs.count
    return found


def _of_groups(
    explainer: Explainer, images: Iterator[ImageInput], limit: int
) -> Iterator[tuple[InputBatch, PredictionBatch | None]]:
    """The first images, read again, with their predictions as members of groups of all images."""
    for answered in explainer.answer_groups(images):
        chosen = answered.inputs[:limit]
        limit -= len(chosen)
        num_read = sum(place not in answered.errors for place in range(len(chosen)))
        for batch in explainer.batches(chosen):
            yield batch, answered.predictions[:num_read]
        if not limit:
            return
