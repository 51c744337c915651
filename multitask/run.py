"""One run, from a config to its report: the only place where the parts meet."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from multitask.config import Config, load_config
from multitask.data.images import Normaliser
from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.errors import UserError
from multitask.evaluation.decode import Evidence, Fitted, Priors
from multitask.evaluation.decode.prior import frequencies
from multitask.evaluation.predictions import Predictions, predict
from multitask.evaluation.rules import Kept, decide, decide_and_fit, joint_term
from multitask.evaluation.summary import distribution, epoch_scores, summarise
from multitask.files import csv_text, plain, to_json, write_atomically
from multitask.labels import JOINT
from multitask.losses import build_losses, number_centres, prior_shifts
from multitask.material import Material, what_is_learned
from multitask.model.network import ByTask, Network
from multitask.runs.environment import environment
from multitask.runs.folder import RunFolder, read_json
from multitask.seeds import derive
from multitask.settings import flatten
from multitask.training.checkpoint import load_checkpoint
from multitask.training.device import make_deterministic, resolve_device
from multitask.training.loop import Trainer
from multitask.training.progress import Progress


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


def build_network(config: Config, device: torch.device, pretrained: bool = True) -> Network:
    """The network of a config.

    Args:
        config: the run's.
        device: where it goes.
        pretrained: False where a checkpoint's weights follow.

    Raises:
        UserError: the backbone cannot be built, or its weights do not fit.
    """
    torch.manual_seed(derive(config.seed, "weights"))
    learned = config.learned_space()
    backbone = config.model.sharing.build(config.model.backbone, config.data.image_size, learned.task_names, pretrained)
    nets = {name: head.net for name, head in config.heads.items()}
    term = None if config.joint is None else config.joint.term
    network = Network(backbone, learned, nets, term)
    return network.to(memory_format=torch.channels_last).to(device)  # type: ignore[call-overload]


def answer(
    network: Callable[[Tensor], Mapping[str, Tensor]],
    config: Config,
    samples: Samples,
    batches: Batches,
    preprocess: Normaliser,
    device: torch.device,
    rule: Fitted | None = None,
) -> Predictions:
    """What a network in evaluation mode says of samples.

    Args:
        network: the heads' log-probabilities of a batch.
        config: the run's.
        samples: those that ``batches`` serves, in that order.
        batches: unshuffled.
        preprocess: makes the network's input of what they hold.
        device: the network's.
        rule: the decode rule with its parameters; None: the config's before it was fitted.
    """
    learned = config.learned_space()
    log_probs = predict(network, batches.epoch(0), preprocess, device, learned)
    joint = log_probs.pop(JOINT, None)
    if config.joint is None or config.joint.term.name == "none":
        joint = None  # nothing but what the heads say
    classes = (rule or config.decode.unfitted()).decode(Evidence.of(log_probs, learned, joint))
    return Predictions(
        config.space(),
        learned,
        samples.images,
        samples.groups,
        samples.labels,
        log_probs,
        classes,
        joint,
        samples.numbers,
    )


def decode_priors(config: Config, samples: Samples) -> Priors:
    """The priors in the outputs of a network that was trained on these samples, and those of the samples."""
    learned = config.learned_space()
    labels = what_is_learned(samples, config).labels[:, : learned.num_tasks]
    natural = frequencies(labels, learned)
    shifts = prior_shifts(config, samples)
    return Priors({name: prior + shifts.get(name, 0.0) for name, prior in natural.items()}, natural)


def read_rules(folder: RunFolder, config: Config) -> Kept | None:
    """The decode rules that were fitted when the run was scored; None where it was not and none is needed.

    Raises:
        UserError: the file is damaged, or is missing and the run's rule must be fitted.
    """
    if folder.decode.is_file():
        return Kept.read(folder.decode, config.learned_space())
    if config.decode.needs_people:
        raise UserError(f"{folder.decode}: no such file; `multitask evaluate {folder.path}` writes it")
    return None


def build_trainer(config: Config, material: Material, network: Network, num_batches: int) -> Trainer:
    """A network with its losses, balancer and optimiser, ready to be trained on ``num_batches`` an epoch.

    Where the batches hold features, the trainer's network is what comes after the backbone of this one.
    """
    device = next(network.parameters()).device
    balancer = config.balancer.build(config.loss_weights())
    return Trainer(
        network.after_backbone() if material.serves_features else network,
        ByTask(build_losses(config, material.training_samples())).to(device),
        balancer.to(device),
        config.training,
        material.normaliser,
        config.augment.mix,
        config.seed,
        num_batches,
        network.fixed_state(),
    )


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
        device = resolve_device(config.device)
        make_deterministic(device)
        material = Material(config, reuse)
        # A checkpoint to go on from does not hold what is frozen.
        pretrained = config.model.backbone.freeze != "none" or not (resume and folder.last.exists())
        network = build_network(config, device, pretrained)
        _check_balancer(config, network)
        material.use_features(network.backbone, progress)
        train_batches = material.batches("train", progress, device, train=True)
        facts = {
            "seed": config.seed,
            "device": str(device),
            "num_parameters": sum(weight.numel() for weight in network.parameters()),
            "frozen_backbone": network.backbone.state_digest() if network.backbone.frozen else None,
        }
        _open_folder(folder, config, material, facts, progress)

        trainer = build_trainer(config, material, network, train_batches.num_batches)
        if folder.last.exists():
            trainer.resume(folder.last)
            folder.write_history(trainer.history)
        validate = _validator(config, material, device, progress)

        def after_epoch(record: dict[str, Any]) -> None:
            folder.write_history(trainer.history)
            if on_epoch is not None:
                on_epoch(record)

        progress.training(
            len(trainer.history) + 1,
            config.training.epochs,
            train_batches.num_batches,
            config.space().task_names,
        )
        trainer.fit(
            train_batches,
            (lambda network: epoch_scores(validate(network))) if validate else None,
            folder.checkpoints,
            on_epoch=after_epoch,
            progress=progress,
        )
        report = None
        if validate:
            load_weights(network, folder.best)
            trainer.network.eval()  # the same, or its heads
            with torch.inference_mode(), trainer.autocast():
                predictions = validate(trainer.network)
            crop = material.crop_counts("val", progress)
            report = write_report(folder, "val", predictions, config, material, trainer.history, crop)
        return RunResult(folder, report, trainer.history)


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


def _validator(
    config: Config, material: Material, device: torch.device, progress: Progress
) -> Callable[[Callable[[Tensor], Mapping[str, Tensor]]], Predictions] | None:
    """A network to its predictions for the people who validate; None where there are none."""
    if not len(material.split.val):
        return None
    batches = material.batches("val", progress, device)
    samples = material.samples.take(material.split.val)
    return lambda network: answer(network, config, samples, batches, material.normaliser, device)


def _open_folder(
    folder: RunFolder, config: Config, material: Material, facts: dict[str, Any], progress: Progress
) -> None:
    """Writes what the run begins with, or checks that it is what a resumed run began with.

    Raises:
        UserError: config or data are not those that the run in the folder began with.
    """
    data = {**material.fingerprint(), "centres": number_centres(material.training_samples())}
    if folder.exists():
        check_same(folder, config, data)
        frozen = read_json(folder.environment).get("frozen_backbone")
        if frozen is not None and frozen != facts["frozen_backbone"]:
            raise UserError(
                f"model.backbone.weights: {config.model.backbone.weights} does not hold the weights that the run in "
                f"{folder.path} began with"
            )
    else:
        folder.create(config.to_yaml(), {**environment(), **facts})
    crop = material.crop_counts("all", progress)
    write_atomically(folder.data, to_json(data if crop is None else {**data, "crop": crop}))
    side = np.full(len(material.samples), "unused", dtype=object)
    side[material.split.train] = "train"
    side[material.split.val] = "val"
    rows = zip(material.samples.images, material.samples.groups, side, strict=True)
    write_atomically(folder.split, csv_text(("image", "group", "split"), rows))


def check_same(folder: RunFolder, config: Config, data: dict[str, Any]) -> None:
    """Checks that a run in a folder is of this config and of this data.

    Args:
        folder: there is a run in it.
        config: what it should have begun with.
        data: the material's fingerprint.

    Raises:
        UserError: it began with others.
    """
    began = load_run_config(folder)
    old, new = (flatten(which.model_dump(mode="json")) for which in (began, config))
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if changed:
        key = changed[0]
        raise UserError(
            f"{key}: the run in {folder.path} began with {old.get(key)!r}, found {new.get(key)!r}"
            + (f" (and {len(changed) - 1} more)" if len(changed) > 1 else "")
        )
    if folder.data.exists() and read_json(folder.data).get("fingerprint") != data["fingerprint"]:
        where = config.data.root or "data.source"
        raise UserError(f"{where}: is not the data that the run in {folder.path} began with")


def load_run_config(folder: RunFolder) -> Config:
    """The config that a run began with.

    Raises:
        UserError: there is no run, or its config is damaged or of another version.
    """
    folder.require()
    try:
        return load_config(folder.config)
    except UserError as error:
        raise UserError(f"{folder.config}: {error}") from None


def load_weights(network: nn.Module, path: Path) -> None:
    """Puts a checkpoint's weights into a network.

    Raises:
        UserError: the checkpoint is missing, damaged, or another network's.
    """
    state = load_checkpoint(path)
    try:
        network.load_state_dict(state["network"])
    except (RuntimeError, KeyError) as error:
        raise UserError(f"{path}: does not fit the run's network: {str(error).splitlines()[0]}") from None


def write_report(
    folder: RunFolder,
    split: str,
    predictions: Predictions,
    config: Config,
    material: Material,
    history: list[dict[str, Any]],
    crop: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes the predictions and the report of one split, as ``write_figures``; returns the report.

    ``crop`` says how its pictures were cropped, where that is not alike for all: ``crop_counts``.
    """
    samples = material.samples
    parts = {"train": material.split.train, "val": material.split.val}
    began = read_json(folder.environment)
    facts = {
        "class_distribution": {
            name: distribution(samples.labels[indices], samples.groups[indices], material.space)
            for name, indices in parts.items()
            if len(indices)
        },
        "training": {
            "best_epoch": max((row["epoch"] for row in history if row["best"]), default=None),
            "num_epochs": len(history),
            "monitor": config.training.monitor,
            "seconds": math.fsum(row["seconds"] for row in history),
            "seed": config.seed,
            "backbone": config.model.backbone.name,
            "sharing": config.model.sharing.name,
            "num_parameters": began["num_parameters"],
            "device": began["device"],
        },
        **({} if crop is None else {"crop": crop}),
    }
    return write_figures(folder, split, predictions, config, material.training_samples(), facts)


def write_figures(
    folder: RunFolder,
    split: str,
    predictions: Predictions,
    config: Config,
    train: Samples,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes the predictions of one split, and a report of their figures and of ``facts``; returns the report.

    On the people who validate, the decode rules are fitted and cross-fitted, and kept for whoever is answered next; on
    others, those that were kept decide.

    Args:
        folder: the run.
        split: of the predictions.
        predictions: as the network gave them.
        config: the run's.
        train: the samples that trained.
        facts: to stand in the report too.
    """
    seed = derive(config.seed, "resample")
    rules: dict[str, Any] | None = None
    if split == "val":
        decided = decide_and_fit(
            predictions, config.decode, decode_priors(config, train), derive(config.seed, "decode"), seed
        )
        write_atomically(folder.decode, decided.kept.to_json())
        predictions, rules = replace(predictions, predicted=decided.predicted), decided.section
    elif (kept := read_rules(folder, config)) is not None:
        decided = decide(predictions, kept, seed)
        predictions, rules = replace(predictions, predicted=decided.predicted), decided.section
    report: dict[str, Any] = plain(
        {
            "run": folder.name,
            "split": split,
            "created": read_json(folder.environment)["created"],
            **summarise(
                predictions,
                config.decode.model_dump(mode="json"),
                seed,
                config.unseen(),
                read_json(folder.data).get("centres"),
            ),
            "decode_rules": rules,
            "joint_term": joint_term(predictions, seed),
            **facts,
        }
    )
    write_atomically(folder.predictions(split), predictions.to_csv())
    write_atomically(folder.report(split), to_json(report))
    return report
