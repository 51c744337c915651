"""The one training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from multitask.balancers.base import Balancer, Step
from multitask.data.images import Normaliser
from multitask.data.loading import Batch, Batches
from multitask.data.mixup import BatchTargets, mix
from multitask.data.settings import MixSettings
from multitask.errors import DivergedError, UserError
from multitask.labels import JOINT, LabelSpace
from multitask.model.network import Heads
from multitask.progress import Progress
from multitask.training.accumulation import step_shares
from multitask.training.checkpoint import load_checkpoint, save_checkpoint
from multitask.training.device import resolve_precision
from multitask.training.gradient_conflict import Conflict
from multitask.training.likelihood import LikelihoodMeter
from multitask.training.loss_meter import LossMeter
from multitask.training.replay import ReplayForward
from multitask.training.settings import TrainingSettings
from multitask.training.state import check_history, check_optimizer, check_state
from multitask.utils.records import value_at
from multitask.utils.seeds import derive

from timm.utils import ModelEmaV3  # isort: skip  (after settings, whose optimisation makes it importable)

Validate = Callable[[nn.Module], Mapping[str, Any]]


@dataclass(frozen=True)
class _Done:
    """A batch that was walked back from; nothing in it is part of a graph.

    Attributes:
        total: what the balancer made of the losses.
        losses: by name.
        outputs: log-probabilities, by name.
        targets: of the batch.
    """

    total: Tensor
    losses: dict[str, Tensor]
    outputs: Mapping[str, Tensor]
    targets: BatchTargets


def _owner(name: str) -> str:
    """Whose a weight is, as messages call it: ``heads.age``, ``joint``, ``backbone``."""
    return ".".join(name.split(".")[: 2 if name.startswith("heads.") else 1])


def lookup(scores: Any, metric: str) -> float:
    """The score at a dotted path, as ``joint.macro_f1``."""
    return float(value_at(scores, metric))


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
            were computed before. ``best.safetensors`` holds it, so that it is whole; ``last.safetensors`` does not.
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
    ) -> None:
        self.network = network
        self.losses = losses
        self.balancer = balancer
        self.settings = settings
        self.preprocessing = preprocessing
        self.mixing = mixing
        self.seed = seed
        self.fixed = dict(fixed or {})
        self.space = space
        self.device = next(network.parameters()).device
        self.dtype = resolve_precision(settings.precision, self.device)

        self._last_layer = network.last_layer()
        groups = network.parameter_groups(settings.optimizer.weight_decay, settings.optimizer.layer_decay)
        if learned := list(balancer.parameters()):
            groups.append({"params": learned, "weight_decay": 0.0, "lr_scale": 1.0})
        self.parameters: list[Tensor] = [parameter for group in groups for parameter in group["params"]]
        self.optimizer = settings.optimizer.build(groups, settings.lr)
        self.updates_per_epoch = -(-num_batches // settings.accumulate)
        self.schedule = settings.schedule.build(self.optimizer, settings.lr, settings.epochs, self.updates_per_epoch)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.ema: ModelEmaV3 | None = None
        if settings.ema:
            self.ema = ModelEmaV3(network, decay=settings.ema.decay, use_warmup=settings.ema.warmup)
        self.history: list[dict[str, Any]] = []

    @property
    def evaluated(self) -> nn.Module:
        """The weights that are validated and kept: the average where there is one."""
        return self.ema.module if self.ema else self.network

    def autocast(self) -> torch.autocast:
        """Half precision where it is used."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    # --- one epoch ----------------------------------------------------------------------------------------------

    def train_epoch(self, epoch: int, batches: Batches, progress: Progress) -> dict[str, Any]:
        """One pass over the training samples.

        Args:
            epoch: from 1.
            batches: the training samples.
            progress: notified of every batch.

        Returns:
            ``lr``, ``seconds``, ``images_per_s``, and ``train``: the mean losses over the labelled samples, and beside
            them ``nll``, the negative log-likelihood of the labels, which is what validation calls its loss.

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
        sums = LossMeter(tuple(self.losses), self.device)
        likelihood = None if self.space is None else LikelihoodMeter(self.space, self.device)
        conflict = Conflict(batches.num_batches)
        shares = self._shares(batches, epoch)
        num_images = num_mixed = 0
        for number, batch in enumerate(batches.epoch(epoch)):
            last = number + 1 == batches.num_batches
            place = number % self.settings.accumulate
            in_step = min(self.settings.accumulate, batches.num_batches - (number - place))  # the last may be shorter
            look = partial(conflict.look, number)
            share = None if shares is None else shares[number]
            done = self._batch(batch, derive(self.seed, "mix", epoch, number), in_step, share, look)
            sums.add(done.total, done.losses, done.targets.labelled_weights(), len(batch))
            num_mixed += done.targets.partner is not None
            if likelihood is not None:
                likelihood.add(done.outputs, done.targets)
            if self.device.type == "cpu" or last or (number + 1) % 20 == 0:  # a look costs a GPU its head start
                self._check(sums, epoch)
            if last or place + 1 == in_step:
                self._step((epoch - 1) * self.updates_per_epoch + number // self.settings.accumulate + 1)
            num_images += len(batch)
            progress.batch(number + 1, num_images, sums.heads)
        seconds = time.perf_counter() - started
        return {
            "lr": max(group["lr"] for group in self.optimizer.param_groups),
            "seconds": seconds,
            "images_per_s": num_images / seconds,
            "train": self._record(sums, likelihood, conflict, num_mixed / batches.num_batches),
        }

    def _record(
        self, sums: LossMeter, likelihood: LikelihoodMeter | None, conflict: Conflict, mixed: float
    ) -> dict[str, Any]:
        """``train`` of an epoch's record; ``mixed`` is the share of its batches that were."""
        weights = self.balancer.current_weights()
        record = {**sums.record(weights), "weights": weights, **conflict.record()}
        if mixed:
            record["mixed"] = mixed
        if likelihood is not None:
            record["nll"], tasks = likelihood.record()
            for name, value in tasks.items():
                record["tasks"][name]["nll"] = value
        return record

    def _shares(self, batches: Batches, epoch: int) -> Tensor | None:
        """``step_shares`` on the device."""
        if self.settings.accumulate == 1:
            return None
        shares = step_shares(batches.labelled_weights(epoch), self.settings.accumulate)
        return None if shares is None else torch.from_numpy(shares).float().to(self.device)

    def _batch(
        self,
        batch: Batch,
        seed: int,
        in_step: int,
        shares: Tensor | None,
        look: Callable[[Mapping[str, Tensor], Step], None],
    ) -> _Done:
        """Adds the gradients of one batch, after ``look``, which changes nothing."""
        batch = batch.to(self.device)
        images = self.preprocessing.normalise(batch.images)
        images, targets = mix(images, BatchTargets(batch.labels, batch.weights, batch.numbers), self.mixing, seed)
        second = ReplayForward(self.device)
        with self.autocast():
            encoded = self.network.forward_features(images)
            answers = self.network.forward_heads(encoded)

        def scaled(scalar: Tensor) -> Tensor:
            found: Tensor = self.scaler.scale(scalar / in_step)
            return found

        def replay() -> dict[str, Tensor]:
            with torch.no_grad(), second(self.network):
                with self.autocast():
                    answers = self.network(images)
                return self._losses(answers, targets)

        features = self.network.shared(encoded)
        labelled = targets.labelled_weights() / len(batch)
        losses = self._losses(answers, targets)
        step = Step(scaled, features, self._last_layer, shares, labelled, replay)
        look(losses, step)
        total = self.balancer.backward(losses, step)
        outputs = {name: values.detach() for name, values in answers.items()}
        return _Done(total, {name: loss.detach() for name, loss in losses.items()}, outputs, targets)

    def _losses(self, answers: Mapping[str, Tensor], targets: BatchTargets) -> dict[str, Tensor]:
        losses = {}
        for column, (name, loss) in enumerate(self.losses.items()):
            sides = [
                share * loss(answers[name], side.labels[:, column], side.weights, side.numbers[:, column])
                for share, side in targets.sides()
            ]
            losses[name] = sum(sides[1:], start=sides[0])
        return losses

    def _step(self, update: int) -> None:
        """One step of the optimiser, the schedule and the average; ``update`` counts from 1."""
        if self.settings.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.balancer.after_step()
        self.schedule.step_update(update)
        if self.ema:
            self.ema.update(self.network, step=update)

    def _check(self, sums: LossMeter, epoch: int) -> None:
        found = sums.first_not_finite()
        if found is not None:
            batch, head, value = found
            raise DivergedError(
                f"{head if head == JOINT else f'heads.{head}'}: the loss is {value} at batch {batch} of epoch {epoch}; "
                f"{self._cure()}"
            )

    def _check_weights(self, epoch: int) -> None:
        """That the last steps of an epoch, whose losses nobody sees, left numbers, and so did the average."""
        names, values = zip(*self.evaluated.named_parameters(), *self.network.named_parameters(), strict=True)
        wrong = (~torch.stack([value.detach().isfinite().all() for value in values])).nonzero().flatten().tolist()
        if wrong:
            raise DivergedError(
                f"{_owner(names[wrong[0]])}: the weights are no numbers after epoch {epoch}; {self._cure()}"
            )

    def _validated(self, validate: Validate, epoch: int) -> dict[str, Any]:
        try:
            return dict(validate(self.evaluated))
        except DivergedError as error:
            raise DivergedError(f"{error} after epoch {epoch}; {self._cure()}") from None

    def _cure(self) -> str:
        half = f"set training.precision other than {self.settings.precision}, " if self.dtype == torch.float16 else ""
        return f"{half}lower training.lr ({self.settings.lr:g}) or set training.clip_norm"

    # --- all epochs ---------------------------------------------------------------------------------------------

    def fit(
        self,
        batches: Batches,
        validate: Validate | None,
        folder: Path,
        *,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Trains from the epoch after the last finished one to the end, or until patience is out.

        After every epoch ``folder`` holds ``last.safetensors`` (everything that changes) and ``best.safetensors`` (the
        weights of the best epoch, whole; without validation, of the last one).

        Args:
            batches: the training samples.
            validate: a network in evaluation mode to its scores; None where nothing validates.
            folder: of the checkpoints.
            on_epoch: called with each epoch's record once it is safe on disk; what it raises ends the training.
            progress: notified of everything.

        Raises:
            DivergedError: a loss, a weight or an answer is no number; the checkpoints are those of the last epoch that
                was finished with numbers.
            UserError: a picture cannot be read.
        """
        progress = progress or Progress()
        for epoch in range(len(self.history) + 1, self.settings.epochs + 1):
            if self._out_of_patience():
                break
            record = {"epoch": epoch, **self.train_epoch(epoch, batches, progress), "val": None}
            self._check_weights(epoch)
            if validate is not None:
                self.evaluated.eval()
                with torch.inference_mode(), self.autocast():
                    record["val"] = self._validated(validate, epoch)
            record["best"] = self._is_best(record)
            self.history.append(record)
            if record["best"]:
                weights = {**self.fixed, **self.evaluated.state_dict()}
                save_checkpoint(folder / "best.safetensors", {"epoch": epoch, "network": weights})
            save_checkpoint(folder / "last.safetensors", self.state())
            progress.epoch(record)
            if on_epoch is not None:
                on_epoch(record)

    def _is_best(self, record: Mapping[str, Any]) -> bool:
        if record["val"] is None:
            return True
        sign = -1.0 if self.settings.monitor.endswith("loss") else 1.0
        earlier = [lookup(row["val"], self.settings.monitor) for row in self.history]
        earlier = [score for score in earlier if not math.isnan(score)]  # nothing is better than no number
        if math.isnan(lookup(record["val"], self.settings.monitor)):
            return not self.history
        return all(sign * lookup(record["val"], self.settings.monitor) > sign * score for score in earlier)

    def _out_of_patience(self) -> bool:
        best = max((row["epoch"] for row in self.history if row["best"]), default=0)
        return self.settings.patience is not None and len(self.history) - best >= self.settings.patience

    # --- state --------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that changes and that the next epoch depends on; random numbers depend on its number alone."""
        return {
            "network": self._changing(self.network),
            "ema": self._changing(self.ema.module) if self.ema else None,
            "balancer": dict(self.balancer.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": self.history,
        }

    def _changing(self, network: nn.Module) -> dict[str, Tensor]:
        return {name: value for name, value in network.state_dict().items() if name not in self.fixed}

    def _restore(self, network: nn.Module, changing: Mapping[str, Tensor]) -> None:
        check_state(self._changing(network), {key: value for key, value in changing.items() if key not in self.fixed})
        own = {name: value for name, value in network.state_dict().items() if name in self.fixed}
        network.load_state_dict({**own, **{name: value for name, value in changing.items() if name not in self.fixed}})

    def resume(self, path: Path) -> None:
        """Takes up a checkpoint that ``fit`` left.

        Raises:
            UserError: it is damaged, or belongs to another network.
        """
        state = load_checkpoint(path)
        try:
            self._restore(self.network, state["network"])
            if self.ema:
                self._restore(self.ema.module, state["ema"])
            check_state(dict(self.balancer.state_dict()), state["balancer"])
            self.balancer.load_state_dict(state["balancer"])
            options = [dict(group) for group in self.optimizer.param_groups]
            self.optimizer.load_state_dict(state["optimizer"])
            check_optimizer(self.optimizer, options, self.settings.optimizer.state_keys)
            check_state(self.scaler.state_dict(), state["scaler"])
            self.scaler.load_state_dict(state["scaler"])
            check_history(state["history"], self.settings)
            self.history = state["history"]
        except Exception as error:  # whatever torch makes of a state that is another one's
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise UserError(f"{path}: does not belong to this config: {reason}") from None
        for parameter, kept in self.optimizer.state.items():
            for name, value in kept.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    # In the parameter's memory layout, as the optimiser itself made it: same kernels, same bits.
                    kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        self.schedule.step_update(len(self.history) * self.updates_per_epoch)
