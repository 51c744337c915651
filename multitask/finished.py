"""What is done with a run that was trained: score it again, answer new pictures, draw its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multitask.config import Config
from multitask.data.augment import Augmentation
from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.labels import MISSING
from multitask.model.ensemble import Ensemble
from multitask.progress import Progress
from multitask.reporting.html import Mistake, Picture
from multitask.reporting.run.page import render_report
from multitask.runs.build import build_network, load_weights
from multitask.runs.cross_validation import fold_configs, members, write_ensemble_report, write_out_of_fold
from multitask.runs.data_module import Material, preprocessing, what_is_learned
from multitask.runs.folder import RunFolder
from multitask.runs.image_store import Gallery
from multitask.runs.report import answer, read_rules, write_report
from multitask.training.device import resolve_device, resolve_precision
from multitask.training.memory import keep_freed_memory
from multitask.utils.files import csv_text, write_atomically
from multitask.utils.seeds import derive

NUM_AUGMENTED = 24
NUM_MISTAKES = 24
MISTAKES_PER_GROUP = 2


@contextmanager
def loaded(
    folder: RunFolder, config: Config
) -> Iterator[tuple[Callable[[Tensor], Mapping[str, Tensor]], torch.device]]:
    """What a run answers pictures with, and the device it is on: its network, or those of its folds as an ensemble.

    Raises:
        UserError: a fold is not finished; a checkpoint is missing or damaged.
    """
    device = resolve_device(config.device)
    keep_freed_memory()
    networks = []
    for member, own_config in members(folder, config):
        network = build_network(own_config, device, pretrained=False)
        load_weights(network, member.best)
        networks.append(network.eval())
    dtype = resolve_precision(config.training.precision, device)
    with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        yield networks[0] if folder.num_folds is None else Ensemble(networks), device


def _material(folder: RunFolder, config: Config) -> Material:
    """A run's material; of a run in folds, the first fold's."""
    return Material(config if folder.num_folds is None else fold_configs(config, folder.num_folds)[0])


def evaluate(folder: RunFolder, config: Config, split: str, progress: Progress) -> dict[str, Any]:
    """Scores a run on one of its splits, or on pictures with known answers, and writes report and predictions.

    Args:
        folder: the run.
        config: its config.
        split: ``val``, ``train``, ``test``, ``all``, or ``eval``: the pictures of the source's queries, where an
            answer file stands beside them. Of a run in folds ``val`` is everybody, each answered by the fold's network;
            ``test`` and ``eval`` are answered by all of them together.
        progress: hears how it goes.

    Returns:
        What ``report.json`` (``report-<split>.json``) now holds.

    Raises:
        UserError: nobody is in the split; the checkpoint is missing or damaged; data is missing;
            another process is writing the run.
    """
    with folder.locked():
        return _evaluate(folder, config, split, progress)


def _evaluate(folder: RunFolder, config: Config, split: str, progress: Progress) -> dict[str, Any]:
    """As ``evaluate``, by the folder's only writer."""
    if folder.num_folds is not None and split not in ("eval", "test"):
        return _evaluate_folds(folder, config, split, progress)
    if split != "val":
        read_rules(folder, config)  # what is wrong with them is said before any picture is read
    material = _material(folder, config)
    if split == "eval":
        samples = config.data.source.answered(Path(config.data.root), material.space)
        for note in samples.notes:
            progress.note(note)
        indices = np.arange(len(samples))
    else:
        indices = material.indices(split)
        if not len(indices):
            why = f"data.val_fraction is {config.data.val_fraction:g}"
            if split == "test":
                why = "the source must say who tests, by a table's split column or {split} in a pattern of folders"
            raise UserError(f"--split {split}: nobody is in it ({why})")
        samples = material.samples.take(indices)
    with loaded(folder, config) as (network, device):
        if split != "eval" and material.gallery.cache == "disk":  # which holds the run's pictures, whole
            batches = material.batches(split, progress, device)
            seen = material.picture_facts(split, progress)
        else:
            gallery = Gallery(config, samples, material.preprocessing)
            batches = _batches(samples, config, gallery, progress)
            seen = gallery.facts(np.arange(len(samples)), progress)
        predictions = answer(network, config, samples, batches, material.preprocessing, device)
    if folder.num_folds is not None:
        return write_ensemble_report(folder, split, predictions, config, material, seen)
    return write_report(folder, split, predictions, config, material, folder.read_history(), seen)


def _evaluate_folds(folder: RunFolder, config: Config, split: str, progress: Progress) -> dict[str, Any]:
    """Scores every fold's run again, and from what they answered the whole."""
    if split != "val":
        raise UserError(f"--split {split}: in folds everybody trains and validates; val is everybody, unseen")
    for index, (member, own_config) in enumerate(members(folder, config)):
        progress.fold(index, folder.num_folds or 0, False)
        evaluate(member, own_config, split, progress)
    return write_out_of_fold(folder, config, _material(folder, config))


def _batches(samples: Samples, config: Config, gallery: Gallery, progress: Progress) -> Batches:
    learned, indices = what_is_learned(samples, config), np.arange(len(samples))
    return Batches(samples, learned, gallery.pictures(progress), indices, config.training.batch_size)


def write_submission(folder: RunFolder, config: Config, root: Path, out: Path, progress: Progress) -> int:
    """Answers the pictures that the source's layout asks for under ``root``.

    Args:
        folder: the run.
        config: its config.
        root: a data root in the layout of the run's source.
        out: the CSV file, with the columns that the source's layout asks for; written only when every picture was
            answered.
        progress: hears how it goes.

    Returns:
        How many pictures were answered.

    Raises:
        UserError: a picture is missing or cannot be read; nothing is written.
    """
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file")
    if not out.parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}")
    queries = config.data.source.queries(root)
    for note in queries.notes:
        progress.note(note)
    images = [str(path.relative_to(root)) for path in queries.paths]
    samples = replace(Samples.unlabelled(config.space(), root, images, queries.ids), boxes=queries.boxes)
    preprocess = preprocessing(config)
    kept = read_rules(folder, config)
    rule = kept.rule() if kept else None
    with loaded(folder, config) as (network, device):
        batches = _batches(samples, config, Gallery(config, samples, preprocess), progress)
        predictions = answer(network, config, samples, batches, preprocess, device, rule)
    header, *rows = queries.table(predictions.predicted, samples.space)
    write_atomically(out, csv_text(header, rows))
    return len(samples)


def write_page(folder: RunFolder, config: Config, split: str) -> Path:
    """Draws the page of a report that was written before; returns its file.

    Pictures are shown where the run's data is still there, and left out where it is not.

    Raises:
        UserError: there is no such report.
    """
    report = folder.read_report(split)
    predictions = Predictions.from_csv(folder.predictions(split), config.space(), config.learned_space())
    augmented: list[Picture] = []
    mistakes: list[Mistake] = []
    try:
        for root in config.data.roots:
            if not root.is_dir():  # a synthetic source would draw it
                raise UserError(f"{root}: no such folder")
        material = _material(folder, config)
        augmented = _augmented(material)
        shown = material.samples
        if split == "eval":
            shown = config.data.source.answered(Path(config.data.root), material.space)
        mistakes = _mistakes(predictions, shown, Gallery(config, shown, material.preprocessing))
    except UserError as error:
        report = {**report, "pictures_missing": str(error)}
    path = folder.report(split, "html")
    histories = [folder.fold(index).read_history() for index in range(folder.num_folds or 0)]
    page = render_report(
        report, folder.read_history(), augmented=augmented, mistakes=mistakes, fold_histories=histories
    )
    write_atomically(path, page)
    return path


def _augmented(material: Material) -> list[Picture]:
    """Training pictures as the network saw them: one of each person as far as there are enough."""
    config, samples = material.config, material.samples
    seed = derive(config.seed, "page")
    order = np.random.default_rng(seed).permutation(material.split.train)
    _, firsts = np.unique(samples.groups[order].astype(str), return_index=True)
    chosen = order[np.sort(firsts)][:NUM_AUGMENTED]
    pictures = [material.gallery.picture(index, Progress()) for index in chosen]
    changed = Augmentation(config.augment)(pictures, seed)
    names = (*material.space.class_names, "not labelled whole")  # MISSING is the last
    return [Picture(pixels, names[index]) for pixels, index in zip(changed, samples.take(chosen).classes, strict=True)]


def _mistakes(predictions: Predictions, samples: Samples, gallery: Gallery) -> list[Mistake]:
    """The wrong answers of the highest probability, at most ``MISTAKES_PER_GROUP`` of one group."""
    space = predictions.space
    given, guess = predictions.classes, predictions.predicted
    confidence = predictions.joint_log_probs().exp().numpy()[np.arange(len(predictions)), guess]
    wrong = np.flatnonzero((given != MISSING) & (given != guess))
    labels, guesses = space.decode(given), space.decode(guess)
    places = {image: index for index, image in enumerate(samples.images)}
    shown: dict[str, int] = {}
    mistakes = []
    for row in _by_confidence(wrong, confidence):
        group = predictions.groups[row]
        if shown.get(group, 0) == MISTAKES_PER_GROUP:
            continue
        shown[group] = shown.get(group, 0) + 1
        tasks = [task.name for task, a, b in zip(space.tasks, labels[row], guesses[row], strict=True) if a != b]
        image = predictions.images[row]
        if image not in places:
            raise UserError(f"{samples.root / image}: is not in the data any more")
        mistakes.append(
            Mistake(
                gallery.picture(places[image], Progress()),
                predictions.images[row],
                group,
                space.class_names[given[row]],
                space.class_names[guess[row]],
                float(confidence[row]),
                tuple(tasks),
            )
        )
        if len(mistakes) == NUM_MISTAKES:
            break
    return mistakes


def _by_confidence(rows: NDArray[np.int64], confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    ordered: NDArray[np.int64] = rows[np.argsort(-confidence[rows], kind="stable")]
    return ordered
