"""What every balancer is: how the losses become one backward step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Replay = Callable[[], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Step:
    """One backward step, as a balancer may take it.

    Attributes:
        scaled: a scalar to what is walked back from in its place; it knows of loss scaling and accumulation.
        features: (B, ...) what all losses share, a part of the graph: where gradients that conflict meet. None where
            the heads share no network, or nothing of it is trained.
        last_layer: the weights of the last layer that all losses share; none where there is none.
        shares: (K,) what each loss of this batch counts in an accumulated step, in the order of the losses; 1 in the
            mean of the step's batches. So the step is that of the mean over the labelled samples of all its batches,
            however they are spread over them. None: all 1.
        labelled: (K,) the weight of the samples with a label of each loss, for each sample of the batch; 1 where
            every sample has one and weighs 1. None: all 1.
        replay: a second forward pass of the same batch through the network as it then is, with the same random draws;
            gives the losses by name, without a graph. A balancer that compares them after the optimiser's step keeps
            this and not the step, whose features hold the graph. None: the batch is not kept.
    """

    scaled: Callable[[Tensor], Tensor]
    features: Tensor | None = None
    last_layer: Sequence[Tensor] = ()
    shares: Tensor | None = None
    labelled: Tensor | None = None
    replay: Replay | None = None

    def shared(self, losses: Tensor) -> Tensor:
        """(K,) losses as they count in an accumulated step; every sum that is walked back from is one of these."""
        return losses if self.shares is None else losses * self.shares

    def backward(self, scalar: Tensor) -> None:
        """Walks back from a scalar: adds to the gradients of everything below it."""
        self.scaled(scalar).backward()

    def jacobian(self, losses: Tensor) -> Tensor:
        """The gradient of each loss at the features, scaled; the graph stays, and no gradient of a parameter changes.

        Args:
            losses: (K,) scalars of the graph.

        Returns:
            (K, the features' size) float32.
        """
        assert self.features is not None, "the losses share no features"
        rows = []
        for loss in losses.unbind():
            (row,) = torch.autograd.grad(self.scaled(loss), self.features, retain_graph=True, allow_unused=True)
            rows.append(torch.zeros_like(self.features) if row is None else row)
        return torch.stack(rows).flatten(1).float()


class Balancer(nn.Module):
    """Turns the losses of the heads, and of the joint term, into gradients.

    Its parameters join the optimiser without decay and its state goes into the checkpoint, so that a balancer that
    learns or remembers is resumed like everything else. Weights are scaled so that their mean is about 1, whatever the
    method: then the learning rate means the same as with the plain sum.
    """

    @abstractmethod
    def backward(self, losses: Mapping[str, Tensor], step: Step) -> Tensor:
        """Adds the gradients of one batch.

        Args:
            losses: by name, a scalar that is part of the graph, the mean over the batch's labelled samples; exactly 0
                where no label of the batch is known.
            step: how to walk back.

        Returns:
            The scalar that is logged as the batch's loss, detached.
        """

    def after_step(self) -> None:
        """Called after every step of the optimiser, which follows one ``backward``, or several that accumulate."""

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Told before each epoch, from 1, which one it is."""

    @abstractmethod
    def current_weights(self) -> dict[str, float]:
        """What each loss counts at present, by name, for the record; empty where a method has no weights."""


class WeightedBalancer(Balancer):
    """A weighted sum of the losses.

    Args:
        names: of the losses.
    """

    weights: Tensor

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.register_buffer("weights", torch.ones(len(self.names)))

    @abstractmethod
    def weigh(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) the weights of one batch, without a graph.

        Args:
            losses: (K,) of the graph, in the order of ``names``.
            step: how to walk back.
        """

    def backward(self, losses: Mapping[str, Tensor], step: Step) -> Tensor:
        """One walk back from the weighted sum."""
        stacked = torch.stack([losses[name] for name in self.names])
        weighted = stacked * self.weigh(stacked, step)
        step.backward(step.shared(weighted).sum())
        return weighted.detach().sum()

    def current_weights(self) -> dict[str, float]:
        """As the last batch left them."""
        return dict(zip(self.names, self.weights.tolist(), strict=True))
