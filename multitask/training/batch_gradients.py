"""The forward and the backward pass of one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from multitask.balancers.base import Balancer, Step
from multitask.data.augment_settings import MixSettings
from multitask.data.batch import Batch
from multitask.data.images import Normaliser
from multitask.data.mixup import BatchTargets, draw_mixture, mix
from multitask.losses.consistency import Consistency
from multitask.model.network import Heads
from multitask.training.device import autocast
from multitask.training.distributed import gather_answers, gather_rows, summed
from multitask.training.epoch_meter import TrainedBatch
from multitask.training.replay import ReplayForward
from multitask.utils.ranks import ranks
from multitask.utils.seeds import derive


class BatchGradients:
    """Adds the gradients of batches to those of the network and of the balancer.

    Args:
        network: on its device, its weights where they lie while it is trained.
        losses: by name, as ``Trainer`` takes them.
        balancer: how they become one backward pass.
        preprocessing: its ``normalise`` turns what a batch holds into the network's input.
        mixing: mixup and CutMix.
        consistency: the loss of answers that differ within a group; None: there is none.
        scaler: of the loss, for half precision.
        dtype: what the network computes in.
    """

    def __init__(
        self,
        network: Heads,
        losses: nn.ModuleDict,
        balancer: Balancer,
        preprocessing: Normaliser,
        mixing: MixSettings,
        consistency: Consistency | None,
        scaler: torch.amp.GradScaler,
        dtype: torch.dtype,
    ) -> None:
        self.network = network
        self.losses = losses
        self.balancer = balancer
        self.preprocessing = preprocessing
        self.mixing = mixing
        self.consistency = consistency
        self.scaler = scaler
        self.dtype = dtype
        self.device = next(network.parameters()).device
        self.ranks = ranks()
        self._last_layer = network.last_layer()

    def add(
        self,
        batch: Batch,
        seed: int,
        in_step: int,
        shares: Tensor | None,
        look: Callable[[Mapping[str, Tensor], Step], None],
    ) -> TrainedBatch:
        """Adds the gradients of one batch.

        Args:
            batch: the rows of this process, or all.
            seed: of what is mixed, and of what random layers draw where there are several processes.
            in_step: the number of batches in a step of the optimiser.
            shares: this batch's of ``step_shares``; None: each counts alike.
            look: is shown the losses before the backward pass; it changes nothing.
        """
        if self.network.batch_sources is not None and batch.sources is not None:
            sources = batch.sources if batch.rows is None else batch.sources[batch.rows]
            self.network.batch_sources.update(sources, self.device)
        batch = batch.to(self.device)
        images, targets = self._mixed(batch, seed)
        with self._draws_of_rank(seed):
            second = ReplayForward(self.device)
            with autocast(self.device, self.dtype):
                encoded = self.network.forward_features(images)
                answers = self._gathered(self.network.forward_heads(encoded), batch)

        def scaled(scalar: Tensor) -> Tensor:
            found: Tensor = self.scaler.scale(scalar / in_step)
            return found

        def replay() -> dict[str, Tensor]:
            with torch.no_grad(), second(self.network):
                with autocast(self.device, self.dtype):
                    answers = self._gathered(self.network(images), batch)
                return self._losses(answers, targets)

        features = self.network.shared(encoded)
        labelled = targets.labelled_weights() / len(batch)
        losses = self._losses(answers, targets)
        over_ranks = summed if self.ranks.size > 1 else None
        step = Step(scaled, features, self._last_layer, shares, labelled, replay, over_ranks)
        look(losses, step)
        added: dict[str, Tensor] = {}
        if self.consistency is not None and batch.groups is not None:
            added = self.consistency(answers, batch.groups)
        total = self.balancer.backward({**losses, **{name: losses[name] + more for name, more in added.items()}}, step)
        outputs = {name: values.detach() for name, values in answers.items()}
        own, beside = ({name: loss.detach() for name, loss in part.items()} for part in (losses, added))
        return TrainedBatch(total, own, outputs, targets, beside)

    def _mixed(self, batch: Batch, seed: int) -> tuple[Tensor, BatchTargets]:
        """The network's input, of this rank's rows, and the targets of the whole batch."""
        targets = BatchTargets(batch.labels, batch.weights, batch.numbers)
        images = self.preprocessing.normalise(batch.images)
        if batch.rows is None:
            return mix(images, targets, self.mixing, seed)
        mixture = draw_mixture(len(batch), images.shape[2:], self.mixing, seed, images.device)
        if mixture is None:
            return images, targets
        (everybody,) = gather_rows([batch.images], len(batch))
        partners = self.preprocessing.normalise(everybody[mixture.partner[batch.rows]])
        return mixture.images(images, partners, slice(None)), mixture.targets(targets)

    def _gathered(self, answers: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The answers to the whole batch."""
        return answers if batch.rows is None else gather_answers(answers, len(batch))

    @contextmanager
    def _draws_of_rank(self, seed: int) -> Iterator[None]:
        """A context in which random layers draw for this rank's rows; what all draw alike goes on after it."""
        if self.ranks.size == 1:
            yield
            return
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(derive(seed, "rank", self.ranks.rank))
            yield

    def _losses(self, answers: Mapping[str, Tensor], targets: BatchTargets) -> dict[str, Tensor]:
        losses = {}
        for column, (name, loss) in enumerate(self.losses.items()):
            sides = [
                share * loss(answers[name], side.labels[:, column], side.weights_of(column), side.numbers[:, column])
                for share, side in targets.sides()
            ]
            losses[name] = sum(sides[1:], start=sides[0])
        return losses
