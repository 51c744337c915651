"""A soup of runs of one family: their weights averaged, as a run of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from multitask.data.dataset import Dataset
from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.data.tiles import TileSettings
from multitask.errors import UserError
from multitask.evaluation.networks_schema import SoupFacts
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.report_schema import RunReport
from multitask.evaluation.summary import epoch_scores
from multitask.model.soup import State, estimate_batch_norm, greedy, has_batch_norm, mean_state
from multitask.progress import Progress
from multitask.runs.build import build_network, load_weights
from multitask.runs.build_losses import prior_shifts
from multitask.runs.classifier import Classifier
from multitask.runs.config import TrainedRun
from multitask.runs.data_module import DataModule
from multitask.runs.ensemble import check_new, read_members
from multitask.runs.folder import RunFolder
from multitask.runs.networks import LoadedNetwork
from multitask.runs.report import write_report
from multitask.settings import flatten
from multitask.training.checkpoint import save_checkpoint
from multitask.training.device import resolve_device, resolve_precision
from multitask.training.kept_weights import load_kept
from multitask.utils.files import write_atomically
from multitask.utils.records import record_to_json
from multitask.utils.seeds import derive

SoupRule = Literal["greedy", "uniform"]
BatchNorm = Literal["average", "estimate"]
_ARCHITECTURE = (
    "model.",
    "joint.term.",
    "data.image_size",
    "data.crop",
    "data.fit",
    "data.background",
    "data.value_range",
)

_ONLY_TRAINING = (".freeze", ".drop_path", ".dropout")


def make_soup(
    paths: Sequence[Path],
    out: Path,
    *,
    rule: SoupRule = "greedy",
    batch_norm: BatchNorm = "average",
    allow_extensions: bool = False,
    progress: Progress | None = None,
) -> RunReport:
    """Makes a run whose weights are the mean of several runs'.

    Args:
        paths: at least two finished single runs of one architecture and preprocessing, which validated on the same
            images.
        out: the folder, which must not be there.
        rule: ``greedy``: the runs in the order of their log-loss, each kept if it lowers that of the soup on the
            images that validate; log-loss, since macro-F1 on few groups is luck. ``uniform``: all of them.
        batch_norm: ``average``: running statistics are averaged as weights are: it needs no training image, and where
            it fits badly a greedy soup does not keep the run. ``estimate``: they are taken anew, by a pass over the
            training images for each soup that is tried.
        allow_extensions: whether code that the runs' configs name may run.
        progress: notified of every step of the work.

    Raises:
        UserError: a run is none that can be in the soup, or ``out`` is there. Nothing is written then.
    """
    check_new(out, paths)
    trained = read_members(paths, allow_extensions)
    _check_family(trained, paths)
    trials = Trials.of(trained, batch_norm, progress or Progress())
    losses = [trials.loss([index]) if rule == "greedy" else 0.0 for index in range(len(trained))]
    order = sorted(range(len(trained)), key=lambda index: losses[index])
    if rule == "greedy":
        kept, tried = greedy(order, lambda soup: losses[soup[0]] if len(soup) == 1 else trials.loss(soup))
    else:
        kept = order
        tried = {}
    predictions = trials.predict(kept)
    reports = [trained[index].folder.read_report() for index in kept]
    facts = SoupFacts(
        rule=rule,
        batch_norm=batch_norm if has_batch_norm(trials.network) else None,
        members=tuple(str(path) for path in paths),
        kept=tuple(str(paths[index]) for index in kept),
        losses={str(paths[index]): loss for index, loss in tried.items()} or None,
        num_epochs=sum(report.training.num_epochs for report in reports),
        seconds=sum(report.training.seconds for report in reports),
    )
    base = trained[kept[0]]
    return _write(RunFolder(out), base, trials, predictions, facts)


def _write(
    folder: RunFolder, base: TrainedRun, trials: Trials, predictions: Predictions, facts: SoupFacts
) -> RunReport:
    """Writes the run folder of a soup whose weights are the network's now."""
    with folder.locked():
        try:
            for name in ("data.json", "split.csv"):
                write_atomically(folder.path / name, (base.folder.path / name).read_bytes())
            began = base.folder.read_environment("num_parameters", "device")
            folder.checkpoints.mkdir()
            save_checkpoint(folder.best, {"epoch": 0, "network": trials.network.state_dict()})
            write_atomically(folder.soup, record_to_json(facts))
            write_atomically(folder.environment, record_to_json(began))
            write_atomically(folder.config, base.config.to_yaml())  # last: what has one is a run
            images = trials.data.image_facts("val", Progress())
            data = DataModule(base.config)  # others may have trained on other images
            return write_report(folder, "val", predictions, base.config.evaluation(), data, [], images)
        except BaseException:
            shutil.rmtree(folder.path)
            raise


@dataclass(frozen=True, eq=False)
class Trials:
    """The one network that is each soup in turn, and the images that judge it.

    Attributes:
        loaded: the network.
        states: of the ingredients, on the CPU.
        data: the first ingredient's.
        classifier: of the network.
        batches: of the images that validate.
        estimates: whether batch normalisation is estimated anew.
        training: the samples on which it is.
        seed: of the order of training images.
        progress: notified of every step of the work.
    """

    loaded: LoadedNetwork
    states: Sequence[State]
    data: DataModule
    classifier: Classifier
    batches: Batches
    estimates: bool
    training: NDArray[np.int64]
    seed: int
    progress: Progress

    @classmethod
    def of(cls, trained: Sequence[TrainedRun], batch_norm: BatchNorm, progress: Progress) -> Trials:
        """The trials of runs' weights.

        Raises:
            UserError: the network has nothing to estimate, or weights do not fit it.
        """
        first = trained[0].config
        device = resolve_device(first.device)
        data = DataModule(first)
        network = build_network(first, device, pretrained=False)
        if batch_norm == "estimate" and not has_batch_norm(network):
            raise UserError(f"--batch-norm estimate: would be ignored: {first.model.backbone.name} has no batch norm")
        for run in trained:
            load_weights(network, run.folder.best)  # which checks that they fit
        states = [load_kept(run.folder.best)["network"] for run in trained]
        classifier = Classifier(network.eval(), data.preprocessing, device, first.evaluation())
        batches = data.batches("val", progress, device)
        dtype = resolve_precision(first.training.precision, device)
        opened = LoadedNetwork(network, device, dtype)
        training = data.split.train
        if first.model.batch_norm == "per_source":  # the target's statistics alone are used afterwards
            training = training[data.samples.sources[training] == first.data.source_names[0]]
        seed = derive(first.seed, "soup")
        return cls(opened, states, data, classifier, batches, batch_norm == "estimate", training, seed, progress)

    @property
    def network(self) -> nn.Module:
        """The one network that each soup's weights are loaded into."""
        return self.loaded.network

    def predict(self, soup: Sequence[int]) -> Predictions:
        """The answers of the soup of some ingredients, which the network is from now on."""
        self.network.load_state_dict(mean_state([self.states[index] for index in soup]))
        self.network.eval()  # which drops what was kept of the weights before
        with self.loaded.computing():
            if self.estimates and len(soup) > 1:
                estimate_batch_norm(self.network, self.training_images())
            return self.classifier.predict(self.data.samples.take(self.data.split.val), self.batches)

    def training_images(self) -> Iterator[Tensor]:
        """Batches of the network's input; shuffled, since images of one group are more alike than those of a batch."""
        indices = np.random.default_rng(self.seed).permutation(self.training)
        batches = self.data.batches("train", self.progress, self.loaded.device, indices=indices)
        for batch in batches.epoch(0):
            yield self.data.preprocessing.normalise(batch.images.to(self.loaded.device))

    def loss(self, soup: Sequence[int]) -> float:
        """The log-loss of the classes on the images that validate.

        Raises:
            UserError: no such image has all its labels.
        """
        found = epoch_scores(self.predict(soup)).loss
        if found is None or found != found:
            raise UserError("--soup greedy: needs images with all labels that validate; take --soup uniform")
        return found


def _check_family(trained: Sequence[TrainedRun], paths: Sequence[Path]) -> None:
    """Refuses runs whose weights cannot be averaged, or that no common groups validated.

    Raises:
        UserError: they are such.
    """
    first = trained[0]
    settings = _architecture(first)
    samples = Dataset.read(first.config.data, first.config.space(), first.config.seed).training_samples()
    priors, drawn, images = _priors(first), _drawn_priors(first, samples), _validated(first)
    for run, path in zip(trained, paths, strict=True):
        if run.folder.num_folds is not None:
            raise UserError(
                f"{path}: is in folds, whose networks were trained on different groups; a soup takes single runs"
            )
        own = _architecture(run)
        if wrong := next((key for key in {**settings, **own} if settings.get(key) != own.get(key)), None):
            raise UserError(
                f"{path}: {wrong} is {own.get(wrong)!r}, not the {settings.get(wrong)!r} of {paths[0]}; a soup is of "
                "one architecture and preprocessing, an ensemble without --soup of any"
            )
        if head := next((name for name, prior in _priors(run).items() if not np.allclose(prior, priors[name])), None):
            raise UserError(
                f"{path}: its loss of {head} weights or adjusts for labels otherwise than that of {paths[0]}, so that "
                "no one prior is in their mean; a soup is of one objective, an ensemble without --soup of any"
            )
        own_drawn = _drawn_priors(run, samples)
        if head := next((name for name, prior in own_drawn.items() if not np.allclose(prior, drawn[name])), None):
            raise UserError(
                f"{path}: its data.sampler draws the labels of {head} otherwise than that of {paths[0]}, so that no "
                "one prior is in their mean; an ensemble without --soup is of any"
            )
        if TileSettings.of(run.config.data) != TileSettings.of(first.config.data):
            raise UserError(f"{path}: crops or fits images in another way than {paths[0]}; a soup sees them in one")
        if _validated(run) != images:
            raise UserError(
                f"{path}: validated on other images than {paths[0]}; train them with one data.split_seed, or make an "
                "ensemble without --soup"
            )


def _architecture(run: TrainedRun) -> dict[str, object]:
    """The settings on which the shapes and the meaning of weights depend."""
    keys = flatten(run.config.model_dump(mode="json"))
    return {
        key: value
        for key, value in keys.items()
        if (key.startswith(_ARCHITECTURE) or ".net." in key) and not key.endswith(_ONLY_TRAINING)
    }


def _priors(run: TrainedRun) -> dict[str, NDArray[np.float64]]:
    """Per head, and for ``joint``, the log-prior that its loss puts into the outputs, of labels counted 1, 2, ..."""
    objective = run.config.objective()
    losses = {task: objective.heads[task.name] for task in objective.learned.tasks}
    if objective.joint is not None:
        losses[objective.joint_task()] = objective.joint
    return {task.name: loss.implied_log_prior(np.arange(1.0, task.num_classes + 1)) for task, loss in losses.items()}


def _drawn_priors(run: TrainedRun, samples: Samples) -> dict[str, NDArray[np.float64]]:
    """As ``_priors``, of training samples that a run's sampler chooses among."""
    return prior_shifts(run.config.objective(), samples, run.config.data.sampler)


def _validated(run: TrainedRun) -> list[str]:
    config = run.config
    found = Predictions.from_csv(run.folder.predictions(), config.space(), config.learned_space())
    return sorted(map(str, found.images))
