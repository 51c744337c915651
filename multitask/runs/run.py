"""One run, from a config to its report: the only place where the parts meet."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multitask.config import Config
from multitask.errors import DivergedError, UserError
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.summary import epoch_scores
from multitask.model.network import Network
from multitask.progress import Progress
from multitask.reporting.text import picture_notes
from multitask.runs.build import build_network, build_trainer, check_smallest_batch, load_weights
from multitask.runs.build_losses import number_centres
from multitask.runs.classifier import Classifier
from multitask.runs.config import load_run_config
from multitask.runs.data_module import DataModule
from multitask.runs.environment import environment
from multitask.runs.folder import RunFolder
from multitask.runs.report import write_report
from multitask.settings import flatten
from multitask.training.checkpoint import load_checkpoint
from multitask.training.device import make_deterministic, resolve_device
from multitask.training.memory import keep_freed_memory
from multitask.utils.files import csv_text, to_json, write_atomically


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run gave.

    Attributes:
        folder: its folder; gone if none was asked for.
        report: what ``report.json`` holds; None where nobody validates.
        history: the rows of ``metrics.jsonl``.
    """

    folder: RunFolder
    report: dict[str, Any] | None
    history: list[dict[str, Any]]


def run(
    config: Config,
    out: Path | None = None,
    *,
    resume: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    progress: Progress | None = None,
    reuse: Path | None = None,
) -> RunResult:
    """Trains, picks the best epoch, and reports on the people who validate.

    Args:
        config: everything.
        out: the run folder, which must not hold a run unless it is resumed; None: nothing is kept.
        resume: whether to go on from the last finished epoch of the run in ``out``, if there is one. The outcome is
            that of a run which was never stopped.
        on_epoch: called with each epoch's record; what it raises ends the run.
        progress: hears of everything.
        reuse: a folder in which decoded pictures and, where nothing can change them, pooled features are kept for
            other runs; None: nothing is kept.

    Raises:
        UserError: the data, the weights or the folder are not as they must be, or a loss is no number any more.
    """
    progress = progress or Progress()
    with ExitStack() as stack:
        if out is None:
            out = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
        folder = RunFolder(out)
        folder.claim(resume)
        stack.enter_context(folder.locked())
        folder.claim(resume)  # again: another process may have made it meanwhile
        device = resolve_device(config.device)
        make_deterministic(device)
        keep_freed_memory()
        material = DataModule(config, reuse)
        for note in material.samples.notes:
            progress.note(note)
        # A checkpoint to go on from does not hold what is frozen.
        pretrained = config.model.backbone.freeze != "none" or not (resume and folder.last.exists())
        network = build_network(config, device, pretrained)
        _check_balancer(config, network)
        material.use_features(network.backbone, progress)
        train_batches = material.batches("train", progress, device, train=True)
        _check_accumulate(config, train_batches.num_batches)
        check_smallest_batch(network, config, train_batches)
        facts = {
            "seed": config.seed,
            "device": str(device),
            "num_parameters": sum(weight.numel() for weight in network.parameters()),
            "frozen_backbone": network.backbone.state_digest() if network.backbone.frozen else None,
        }
        # Before the folder is made: what cannot be built leaves none that the corrected line would then refuse.
        trainer = build_trainer(config, material, network, train_batches.num_batches)
        _open_folder(folder, config, material, facts, progress)
        if folder.last.exists():
            trainer.resume(folder.last)
            _check_best(folder, trainer.history)
            folder.write_history(trainer.history)
        validation = _validation(config, material, device, progress)

        def after_epoch(record: dict[str, Any]) -> None:
            if validation is not None and record["best"]:
                validation.keep()
            folder.write_history(trainer.history)
            if on_epoch is not None:
                on_epoch(record)

        progress.training(
            len(trainer.history) + 1,
            config.training.epochs,
            train_batches.num_batches,
            config.space().task_names,
        )
        try:
            trainer.fit(
                train_batches,
                validation,
                folder.checkpoints,
                on_epoch=after_epoch,
                progress=progress,
            )
        except DivergedError as error:
            folder.fail(str(error))
            raise
        folder.failure.unlink(missing_ok=True)
        report = None
        if validation is not None:
            predictions = validation.best
            if predictions is None:  # the best epoch was before the run was resumed
                load_weights(network, folder.best)
                trainer.network.eval()  # the same, or its heads
                with torch.inference_mode(), trainer.autocast():
                    predictions = validation.predict(trainer.network)
            seen = material.picture_facts("val", progress)
            report = write_report(folder, "val", predictions, config.evaluation(), material, trainer.history, seen)
        return RunResult(folder, report, trainer.history)


def _check_best(folder: RunFolder, history: list[dict[str, Any]]) -> None:
    """That the best epoch's weights are those of the history, or of the next epoch, after which a run was killed.

    Raises:
        UserError: they are of another epoch, or damaged.
    """
    best = max(row["epoch"] for row in history if row["best"])
    found = load_checkpoint(folder.best).get("epoch")
    if found not in (best, len(history) + 1):
        raise UserError(f"{folder.best}: is of epoch {found}, but the best epoch of {folder.last} is {best}")


def _check_accumulate(config: Config, num_batches: int) -> None:
    """What only the data tells: that a step needs more batches than an epoch has.

    Raises:
        UserError: it does.
    """
    accumulate = config.training.accumulate
    if accumulate > num_batches:
        raise UserError(
            f"training.accumulate: must be at most the number of batches in an epoch ({num_batches} of "
            f"{config.training.batch_size} pictures), found {accumulate}"
        )


def _check_balancer(config: Config, network: Network) -> None:
    """What only the network tells: that every one of its stages is frozen.

    Raises:
        UserError: the balancer needs a network that is shared and trained, and there is none.
    """
    if config.balancer.needs_features and network.backbone.frozen:
        raise UserError(
            f"balancer: {config.balancer.name} needs features that all heads share and train, but "
            f"model.backbone.freeze is {config.model.backbone.freeze}, all stages of {config.model.backbone.name}"
        )


class _Validation:
    """Scores networks on the people who validate.

    Args:
        predict: a network in evaluation mode to its predictions for them.

    Attributes:
        best: the predictions that were kept; None before.
    """

    def __init__(self, predict: Callable[[Callable[[Tensor], Mapping[str, Tensor]]], Predictions]) -> None:
        self.predict = predict
        self.best: Predictions | None = None
        self._last: Predictions | None = None

    def __call__(self, network: Callable[[Tensor], Mapping[str, Tensor]]) -> dict[str, Any]:
        """A network's scores."""
        self._last = self.predict(network)
        return epoch_scores(self._last)

    def keep(self) -> None:
        """Keeps the predictions of the network that was scored last."""
        self.best = self._last


def _validation(config: Config, material: DataModule, device: torch.device, progress: Progress) -> _Validation | None:
    """None where nobody validates."""
    if not len(material.split.val):
        return None
    batches = material.batches("val", progress, device)
    samples = material.samples.take(material.split.val)
    settings = config.evaluation()
    return _Validation(
        lambda network: Classifier(network, material.normaliser, device, settings).predict(samples, batches)
    )


def _open_folder(
    folder: RunFolder, config: Config, material: DataModule, facts: dict[str, Any], progress: Progress
) -> None:
    """Writes what the run begins with, or checks that it is what a resumed run began with.

    Raises:
        UserError: config or data are not those that the run in the folder began with.
    """
    data = {**material.fingerprint(), "centres": number_centres(material.training_samples())}
    if folder.exists():
        if check_same(folder, config, data, progress):
            folder.report().unlink(missing_ok=True)  # of fewer epochs
            write_atomically(folder.config, config.to_yaml())
        frozen = folder.read_environment().get("frozen_backbone")
        if frozen is not None and frozen != facts["frozen_backbone"]:
            raise UserError(
                f"model.backbone.weights: {config.model.backbone.weights} does not hold the weights that the run in "
                f"{folder.path} began with"
            )
    else:
        folder.create(config.to_yaml(), {**environment(), **facts})
    seen = material.picture_facts("all", progress)
    for note in picture_notes(seen):
        progress.note(note)
    write_atomically(folder.data, to_json({**data, **seen}))
    side = material.split.names(len(material.samples), "unused")
    rows = zip(material.samples.images, material.samples.groups, side, strict=True)
    write_atomically(folder.split, csv_text(("image", "group", "split"), rows))


def check_same(folder: RunFolder, config: Config, data: dict[str, Any], progress: Progress) -> bool:
    """Checks that a run in a folder is of this config and of this data.

    Args:
        folder: there is a run in it.
        config: what it should have begun with.
        data: the material's fingerprint.
        progress: hears it where the config has more epochs.

    Returns:
        Whether the config has more epochs than the run began with. Nothing in the earlier ones then depends on how
        many there are, so the run goes on as if it had begun with them.

    Raises:
        UserError: it began with others.
    """
    began = load_run_config(folder)
    old, new = (flatten(which.model_dump(mode="json")) for which in (began, config))
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    epochs = "training.epochs"
    longer = changed == [epochs] and old[epochs] < new[epochs]
    if longer:
        if (why := depends_on_length(config)) is not None:
            raise UserError(
                f"{epochs}: the run in {folder.path} began with {old[epochs]}, found {new[epochs]}; {why} depends on "
                "how many there are, so it cannot go on as if it had begun with more: train anew"
            )
        progress.note(f"{epochs}: {new[epochs]}, where the run began with {old[epochs]}; all else is as it was")
    elif changed:
        key = changed[0]
        raise UserError(
            f"{key}: the run in {folder.path} began with {old.get(key)!r}, found {new.get(key)!r}"
            + (f" (and {len(changed) - 1} more)" if len(changed) > 1 else "")
        )
    if folder.data.exists() and folder.read_data().get("fingerprint") != data["fingerprint"]:
        where = config.data.root or "data.source"
        raise UserError(f"{where}: is not the data that the run in {folder.path} began with")
    return longer


def depends_on_length(config: Config) -> str | None:
    """What in a run depends on how many epochs it has, beside when it ends; None: nothing does."""
    if config.training.schedule.name != "step":
        return f"training.schedule ({config.training.schedule.name}, not step)"
    deferred = [
        key for key, value in flatten(config.model_dump(mode="json")).items() if key.endswith(".deferred") and value
    ]
    return deferred[0] if deferred else None
