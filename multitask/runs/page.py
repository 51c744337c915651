"""The page of a report, with images where the data of the run is still there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multitask.data.image_store import ImageStore
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.labels import MISSING, LabelSpace
from multitask.progress import Progress
from multitask.reporting.html import UNKNOWN, CaptionedImage, Mistake
from multitask.reporting.run.page import render_report
from multitask.runs.config import TrainedRun
from multitask.runs.data_module import DataModule
from multitask.runs.evaluate import data_of
from multitask.utils.files import write_atomically
from multitask.utils.seeds import derive

NUM_AUGMENTED = 24

NUM_MISTAKES = 24

MISTAKES_PER_GROUP = 2


def write_page(trained: TrainedRun, split: str) -> Path:
    """Draws the page of a report that was written before; returns its file.

    Images are shown where the run's data is still there, and left out where it is not.

    Raises:
        UserError: there is no such report.
    """
    folder, config = trained
    report = folder.read_report(split)
    predictions = Predictions.from_csv(folder.predictions(split), config.space(), config.learned_space())
    missing: str | None = None
    augmented: list[CaptionedImage] = []
    mistakes: list[Mistake] = []
    try:
        config.data.check_roots()  # a synthetic source would draw them
        data = data_of(trained)
        augmented = _augmented(data, derive(config.seed, "page"))
        shown = data.samples
        if split.partition("-")[0] == "eval":
            shown = config.data.source.answered(Path(config.data.root), data.space)
        mistakes = _mistakes(predictions, shown, ImageStore(config.data, shown, data.preprocessing))
    except UserError as error:
        missing = str(error)
    path = folder.report(split, "html")
    histories = [folder.fold(index).read_history() for index in range(folder.num_folds or 0)]
    page = render_report(
        report,
        folder.read_history(),
        augmented=augmented,
        mistakes=mistakes,
        fold_histories=histories,
        images_missing=missing,
    )
    write_atomically(path, page)
    return path


def _augmented(data: DataModule, seed: int) -> list[CaptionedImage]:
    """Training images as the network saw them: one of each group as far as there are enough."""
    samples = data.samples
    order = np.random.default_rng(seed).permutation(data.split.train)
    _, firsts = np.unique(samples.groups[order].astype(str), return_index=True)
    chosen = order[np.sort(firsts)][:NUM_AUGMENTED]
    images = [data.store.image(index, Progress()) for index in chosen]
    changed = data.augmentation()(images, seed, samples.sources[chosen].to_numpy())
    return [
        CaptionedImage(pixels, _given_name(data.space, labels))
        for pixels, labels in zip(changed, samples.labels[chosen].tolist(), strict=True)
    ]


def _given_name(space: LabelSpace, labels: Sequence[int]) -> str:
    """The name of a class of which some labels may be unknown, each of these a dash."""
    if all(label == MISSING for label in labels):
        return "not labelled"
    named = zip(space.tasks, labels, strict=True)
    return "/".join(UNKNOWN if label == MISSING else task.classes[label] for task, label in named)


def _mistakes(predictions: Predictions, samples: Samples, store: ImageStore) -> list[Mistake]:
    """The answers of the highest probability whose label is known to be wrong, of one task or of several.

    There are at most ``MISTAKES_PER_GROUP`` of one group.
    """
    space, labels, guess = predictions.space, predictions.labels, predictions.predicted
    confidence = predictions.joint_log_probs().exp().numpy()[np.arange(len(predictions)), guess]
    wrong = (labels != MISSING) & (labels != space.decode(guess))
    places = {image: index for index, image in enumerate(samples.images)}
    shown: dict[str, int] = {}
    mistakes = []
    for row in _by_confidence(np.flatnonzero(wrong.any(axis=1)), confidence):
        group = predictions.groups[row]
        if shown.get(group, 0) == MISTAKES_PER_GROUP:
            continue
        shown[group] = shown.get(group, 0) + 1
        image = predictions.images[row]
        if image not in places:
            raise UserError(f"{samples.root / image}: is not in the data any more")
        mistakes.append(
            Mistake(
                store.image(places[image], Progress()),
                predictions.images[row],
                group,
                _given_name(space, labels[row].tolist()),
                space.class_names[guess[row]],
                float(confidence[row]),
                tuple(np.array(space.task_names)[wrong[row]].tolist()),
            )
        )
        if len(mistakes) == NUM_MISTAKES:
            break
    return mistakes


def _by_confidence(rows: NDArray[np.int64], confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    ordered: NDArray[np.int64] = rows[np.argsort(-confidence[rows], kind="stable")]
    return ordered
