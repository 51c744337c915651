"""The classifier: a network with the preprocessing of its input, its device and its decode rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multitask.data.batch import Batch
from multitask.data.images import Normaliser
from multitask.data.loading import Batches
from multitask.data.samples import Samples
from multitask.evaluation.decode import DecodeRule, ModelOutputs
from multitask.evaluation.predictions import Predictions, predict
from multitask.evaluation.settings import EvaluationSettings
from multitask.labels import JOINT
from multitask.training.together import Together


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network that predicts classes of the product.

    Attributes:
        network: in evaluation mode; (B, 3, H, W), or the (B, F) features that stand for them, to {head: (B, C_t)
            log-probabilities}.
        preprocessing: its ``normalise`` turns what a batch holds into the network's input.
        device: the network's.
        settings: its objective says which heads there are.
        rule: the decode rule with its parameters; None: the one that stands in before any is fitted.
    """

    network: Callable[[Tensor], Mapping[str, Tensor]]
    preprocessing: Normaliser
    device: torch.device
    settings: EvaluationSettings
    rule: DecodeRule | None = None

    def predict(self, samples: Samples, batches: Batches) -> Predictions:
        """The predictions of samples.

        Args:
            samples: those that ``batches`` serves, in that order.
            batches: unshuffled.

        Raises:
            DivergedError: an answer is no number.
            UserError: an image cannot be read.
        """
        learned = self.settings.learned
        log_probs = self._of_all_ranks(
            batches, lambda: predict(self.network, batches.epoch(0), self.preprocessing, self.device, learned)
        )
        outputs, joint = self._outputs(log_probs)
        classes = self._rule.decode(outputs)
        return Predictions(
            samples.space,
            learned,
            samples.images.to_numpy(),
            samples.groups.to_numpy(),
            samples.labels.astype(np.int64),
            log_probs,
            classes,
            joint,
            samples.numbers.astype(np.float64),
        )

    def classes(self, batches: Batches) -> NDArray[np.int64]:
        """(N,) ``predicted`` of ``predict``, decided a batch at a time: of millions nothing else is kept."""

        def decided() -> dict[str, Tensor]:
            return {"": torch.cat([self._decided(batch) for batch in batches.epoch(0)])}

        found: NDArray[np.int64] = self._of_all_ranks(batches, decided)[""].numpy()
        return found

    def _decided(self, batch: Batch) -> Tensor:
        log_probs = predict(self.network, [batch], self.preprocessing, self.device, self.settings.learned)
        return torch.from_numpy(self._rule.decode(self._outputs(log_probs)[0]))

    @property
    def _rule(self) -> DecodeRule:
        return self.rule or self.settings.decode.unfitted()

    def _outputs(self, log_probs: dict[str, Tensor]) -> tuple[ModelOutputs, Tensor | None]:
        """The outputs that the rule decides by; and the joint term's, which is taken out of ``log_probs``."""
        joint = log_probs.pop(JOINT, None)
        if not self.settings.joint_term:
            joint = None  # nothing but what the heads say
        return ModelOutputs.of(log_probs, self.settings.learned, joint), joint

    def _of_all_ranks(self, batches: Batches, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        lockstep = self.network.lockstep if isinstance(self.network, Together) else nullcontext
        return _of_all_ranks(batches, make, lockstep)


def _of_all_ranks(
    batches: Batches, make: Callable[[], dict[str, Tensor]], lockstep: Callable[[], AbstractContextManager[None]]
) -> dict[str, Tensor]:
    """The answers to all batches, in order, where each rank has answered those that were dealt to it."""

    def own() -> dict[str, Tensor]:
        with lockstep():
            return make() if batches.ranks.rank < batches.num_batches else {}

    here = batches.ranks
    if here.size == 1:
        return own()
    parts = here.gather(own)
    sizes = batches.sizes
    found = {}
    for name in parts[0]:
        dealt = [part[name].split(sizes[rank :: here.size]) for rank, part in enumerate(parts) if part]
        found[name] = torch.cat([dealt[number % here.size][number // here.size] for number in range(len(sizes))])
    return found
