"""The one training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from multitask.balancers.base import Balancer
from multitask.data.augment_settings import MixSettings
from multitask.data.images import Normaliser
from multitask.data.loading import Batches
from multitask.labels import LabelSpace
from multitask.losses.consistency import Consistency
from multitask.model.network import Heads
from multitask.progress import EpochRecord, Progress, TrainingScores, ValidationScores
from multitask.training.accumulation import step_shares
from multitask.training.batch_gradients import BatchGradients
from multitask.training.checkpoint import save_checkpoint
from multitask.training.device import autocast, resolve_precision
from multitask.training.distributed import broadcast_buffers
from multitask.training.divergence import DivergenceCheck
from multitask.training.ema import WeightEMA
from multitask.training.epoch_meter import EpochMeter
from multitask.training.epoch_part import STEP_CHECKPOINT, EpochPart, load_part
from multitask.training.history import is_best, out_of_patience
from multitask.training.kept_weights import KeptWeights
from multitask.training.optimizer_step import OptimizerStep
from multitask.training.replicas import Replicas
from multitask.training.settings import TrainingSettings
from multitask.training.state import TrainingState
from multitask.training.weight_mean import WeightMean
from multitask.utils.ranks import ranks
from multitask.utils.seeds import derive

Validate = Callable[[Callable[[Tensor], Any]], ValidationScores]


@dataclass(frozen=True)
class TrainedEpoch:
    """The results of one pass over the training samples; the attributes are those of ``EpochRecord``."""

    lr: float
    seconds: float
    images_per_s: float
    train: TrainingScores


class Trainer:
    """A network and everything that changes while it is trained.

    Args:
        network: on its device.
        losses: by name, as ``TaskLoss``: (log-probabilities, labels, sample weights, raw numbers) to a scalar; in the
            order of the batches' columns.
        balancer: how they become one step.
        settings: the ``training`` section.
        preprocessing: its ``normalise`` turns what a batch holds into the network's input.
        mixing: mixup and CutMix.
        seed: the config's.
        num_batches: per epoch.
        space: that of the heads, for the negative log-likelihood of the training labels; None: it is not recorded.
        fixed: the part of the state that training cannot change, whether the network has it or runs on features that
            were computed before. No checkpoint but ``best.safetensors`` holds it, as of ``KeptWeights``.
        consistency: the loss of answers that differ within a group, added to the heads' own; None: there is none.
        replicas: how the weights lie in the processes; None: whole in each.
    """

    def __init__(
        self,
        network: Heads,
        losses: nn.ModuleDict,
        balancer: Balancer,
        settings: TrainingSettings,
        preprocessing: Normaliser,
        mixing: MixSettings,
        seed: int,
        num_batches: int,
        fixed: Mapping[str, Tensor] | None = None,
        space: LabelSpace | None = None,
        consistency: Consistency | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        self.network = network
        self.losses = losses
        self.balancer = balancer
        self.settings = settings
        self.seed = seed
        self.fixed = dict(fixed or {})
        self.space = space
        self.device = next(network.parameters()).device
        self.dtype = resolve_precision(settings.precision, self.device)
        self.ranks = ranks()
        self.replicas = replicas or Replicas()

        self.ema: WeightEMA | None = None
        if settings.ema:
            self.ema = WeightEMA(network, settings.ema)
        self.mean: WeightMean | None = None
        if settings.keep_rule.averaged:
            self.mean = WeightMean(network, settings.keep_rule.averaged, self.fixed)
        self.replicas.place(network, *(copy.module for copy in (self.ema, self.mean) if copy is not None))
        self._divergence = DivergenceCheck(settings, self.dtype)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self._gradients = BatchGradients(
            network, losses, balancer, preprocessing, mixing, consistency, self.scaler, self.dtype
        )
        self._step = OptimizerStep(network, balancer, settings, num_batches, self.scaler, self.replicas, self.ema)
        self.history: list[EpochRecord] = []
        self._part: EpochPart | None = None  # of the next epoch

    @property
    def evaluated(self) -> nn.Module:
        """The weights that are validated and kept: the average where there is one."""
        return self.mean.module if self.mean else self._averaged

    @property
    def _averaged(self) -> nn.Module:
        """The weights after the last step: their exponential average where there is one."""
        return self.ema.module if self.ema else self.network

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """That of the network and of what the balancer learns."""
        return self._step.optimizer

    @property
    def parameters(self) -> list[Tensor]:
        """What the optimiser moves."""
        return self._step.parameters

    @contextmanager
    def evaluating(self, network: nn.Module | None = None) -> Iterator[Callable[[Tensor], Any]]:
        """A network in evaluation mode, at the training's precision; None: ``evaluated``."""
        with self.replicas.evaluating(network or self.evaluated) as found, autocast(self.device, self.dtype):
            yield found

    # --- one epoch ----------------------------------------------------------------------------------------------

    def train_epoch(self, epoch: int, batches: Batches, progress: Progress, folder: Path | None = None) -> TrainedEpoch:
        """One pass over the training samples, or what is left of it where a part was resumed.

        Args:
            epoch: from 1.
            batches: the training samples.
            progress: notified of every batch.
            folder: of the checkpoints within the epoch, if there are to be any.

        Raises:
            DivergedError: a head's loss is NaN or infinite; it names the head and the step.
        """
        # Dropout and its like draw from torch's own generator: from here on it depends on the epoch alone, so a
        # resumed run draws what an uninterrupted one does.
        torch.manual_seed(derive(self.seed, "epoch", epoch))
        self.network.train()
        told: Iterable[Any] = (*self.losses.values(), self.balancer)
        for listener in told:
            listener.begin_epoch(epoch, self.settings.epochs)
        started = time.perf_counter()
        meter = EpochMeter(tuple(self.losses), self.space, batches.num_batches, self.device)
        shares = self._shares(batches, epoch)
        num_done = num_images = 0
        part, self._part = self._part, None
        if part is not None:
            part.restore(meter, self.balancer, self.device)
            num_done, num_images, started = part.num_batches, part.num_images, started - part.seconds
        served = batches.epoch(epoch, num_done) if num_done else batches.epoch(epoch)
        for number, batch in enumerate(served, num_done):
            last = number + 1 == batches.num_batches
            place = number % self.settings.accumulate
            in_step = min(self.settings.accumulate, batches.num_batches - (number - place))  # the last may be shorter
            look = partial(meter.conflict.look, number)
            share = None if shares is None else shares[number]
            trained = self._gradients.add(batch, derive(self.seed, "mix", epoch, number), in_step, share, look)
            meter.add(trained, len(batch))
            num_images += len(batch)
            step = number // self.settings.accumulate + 1 if last or place + 1 == in_step else None
            saves = folder is not None and not last and self._saves(step)
            # A look costs a GPU its head start.
            if self.device.type == "cpu" or last or saves or (number + 1) % 20 == 0:
                self._divergence.losses(meter.losses, epoch)
            if step is not None:
                self._step((epoch - 1) * self._step.num_per_epoch + step)
            if saves and folder is not None:
                seconds = time.perf_counter() - started
                found = EpochPart.of(epoch, number + 1, num_images, seconds, meter, self.balancer, self.device)
                self._save_part(folder, found)
            progress.batch(number + 1, num_images, meter.losses.heads)
        seconds = time.perf_counter() - started
        return TrainedEpoch(
            lr=max(group["lr"] for group in self.optimizer.param_groups),
            seconds=seconds,
            images_per_s=num_images / seconds,
            train=meter.record(self.balancer.current_weights()),
        )

    def _saves(self, step: int | None) -> bool:
        """Whether a checkpoint is written after a step of an epoch, counted from 1."""
        every = self.settings.checkpoint_steps
        return every is not None and step is not None and step % every == 0

    def _save_part(self, folder: Path, part: EpochPart) -> None:
        self._save_state(folder / STEP_CHECKPOINT, lambda: {"part": vars(part), "state": self._dump()})

    def _shares(self, batches: Batches, epoch: int) -> Tensor | None:
        """``step_shares`` on the device."""
        if self.settings.accumulate == 1:
            return None
        shares = step_shares(batches.labelled_weights(epoch), self.settings.accumulate)
        return None if shares is None else torch.from_numpy(shares).float().to(self.device)

    # --- all epochs ---------------------------------------------------------------------------------------------

    def fit(
        self,
        batches: Batches,
        validate: Validate | None,
        folder: Path,
        *,
        on_epoch: Callable[[EpochRecord], None] | None = None,
        progress: Progress | None = None,
        resumable: bool = True,
    ) -> None:
        """Trains from the epoch after the last finished one to the end, or until patience is out.

        After every epoch ``folder`` holds ``last.safetensors`` (everything that changes) and ``best.safetensors`` (the
        weights that ``training.keep`` says; without validation, of the last epoch; whole at the end, before as of
        ``KeptWeights``); within an epoch, where the settings ask for it, ``step.safetensors`` (everything that has
        changed in it so far).

        Args:
            batches: the training samples.
            validate: a network in evaluation mode to its scores; None where nothing validates.
            folder: of the checkpoints.
            on_epoch: called with each epoch's record once it is safe on disk; what it raises ends the training.
            progress: notified of everything.
            resumable: whether ``last.safetensors`` and ``step.safetensors`` are written.

        Raises:
            DivergedError: a loss, a weight or an answer is no number; the checkpoints are those of the last epoch that
                was finished with numbers.
            UserError: an image cannot be read.
        """
        kept_weights, progress = KeptWeights(folder, self.fixed), progress or Progress()
        with kept_weights.completed() if self.ranks.is_main else nullcontext():
            for epoch in range(len(self.history) + 1, self.settings.epochs + 1):
                if out_of_patience(self.history, self.settings.patience):
                    break
                record = self._epoch(epoch, batches, validate, folder if resumable else None, progress)
                self._save(kept_weights, record, resumable)
                progress.epoch(record)
                if on_epoch is not None:
                    on_epoch(record)

    def _epoch(
        self, epoch: int, batches: Batches, validate: Validate | None, folder: Path | None, progress: Progress
    ) -> EpochRecord:
        """Trains and validates; the record is in the history then."""
        trained = self.train_epoch(epoch, batches, progress, folder)
        if self.ranks.size > 1:
            broadcast_buffers(self.network, self.ema.module if self.ema else None)
        self._divergence.weights(epoch, self._averaged, self.network, anywhere=self.replicas.anywhere)
        if self.mean:
            self.mean.add(self._averaged)
        scores: ValidationScores | None = None
        if validate is not None:
            with self.evaluating() as network, self._divergence.answers(epoch):
                scores = validate(network)
        keep = self.settings.keep_rule
        best = is_best(self.history, scores, self.settings.monitor, keep.score_at)
        # Something must be kept where the first epoch's score is unknown.
        kept = None if keep.asks and (best or self.history) else True
        found = EpochRecord(epoch=epoch, **vars(trained), val=scores, best=best, kept=kept)
        record: EpochRecord = self.ranks.from_main(lambda: found)
        self.history.append(record)
        return record

    def _save(self, kept_weights: KeptWeights, record: EpochRecord, resumable: bool) -> None:
        if record.is_kept:
            last = record.epoch == self.settings.epochs
            self.replicas.save(self.evaluated.state_dict, lambda state: kept_weights.save(record.epoch, state, last))
        if not resumable:
            return
        self._save_state(kept_weights.folder / "last.safetensors", self._dump)
        if self.ranks.is_main:
            (kept_weights.folder / STEP_CHECKPOINT).unlink(missing_ok=True)

    def _save_state(self, path: Path, make: Callable[[], dict[str, Any]]) -> None:
        self.replicas.save(make, lambda state: save_checkpoint(path, state))

    def _dump(self) -> dict[str, Any]:
        return self._state().dump(self.history)

    # --- state --------------------------------------------------------------------------------------------------

    def _state(self) -> TrainingState:
        average = self.ema.module if self.ema else None
        return TrainingState(self.network, average, self.balancer, self.optimizer, self.scaler, self.fixed, self.mean)

    def resume(self, path: Path) -> None:
        """Takes up a checkpoint that ``fit`` left.

        Raises:
            UserError: it is damaged, or belongs to another network.
        """
        self.history = self._state().load(path, self.settings)
        self._step.resume(len(self.history) * self._step.num_per_epoch)

    def resume_part(self, path: Path) -> None:
        """Takes up a checkpoint that ``fit`` left within an epoch, if there is one of an epoch that is not finished.

        Raises:
            UserError: it is damaged, or belongs to another network.
        """
        found = load_part(path, len(self.history))
        if found is None:
            return
        self._part, state = found
        self.history = self._state().load(path, self.settings, state)
        self._part.check(self.balancer, path)
        steps = -(-self._part.num_batches // self.settings.accumulate)
        self._step.resume(self._part.num_epochs * self._step.num_per_epoch + steps)
