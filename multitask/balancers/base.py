"""Balancers: modules that turn the losses into the gradients of one step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Replay = Callable[[], Mapping[str, Tensor]]
"""A second forward pass: the losses by name, without a graph."""


@dataclass(frozen=True)
class Step:
    """The backward pass of one batch, and what a balancer may need for it; K is the number of losses.

    Attributes:
        scaled: from a scalar to the one whose gradient is taken in its place: it applies the scale of mixed precision
            and of accumulation.
        features: (B, ...) the output of the last layer that all losses share, a part of the graph: where gradients
            conflict. None where the heads share no network, or nothing of it is trained.
        last_layer: the weights of the last layer that all losses share; none where there is none.
        shares: (K,) the factor of each loss of this batch in an accumulated step, in the order of the losses; their
            mean over the step's batches is 1. So the step is that of the mean over the labelled samples of all its
            batches, however they are spread over them. None: all 1.
        labelled: (K,) for each loss, the summed weight of the samples that have its label over the number of samples;
            1 where every sample has one and a weight of 1. None: all 1.
        replay: a second forward pass of the same batch through the network as it then is, with the same random draws;
            gives the losses by name, without a graph. A balancer that compares them after the optimiser's step keeps
            this and not the step, whose features hold the graph. None: the batch is not kept.
        over_ranks: where several processes have a part of the batch each, the sum over them of what is a sum over rows
            of the batch, as products of Jacobians and gradients of weights are; ``features`` are of the own rows, the
            losses of all. None: there is one process.

    >>> features = torch.tensor([[1.0, 2.0]], requires_grad=True)
    >>> losses = torch.stack([features.sum(), (features**2).sum()])
    >>> step = Step(scaled=lambda scalar: scalar, features=features, shares=torch.tensor([0.5, 1.0]))
    >>> step.jacobian(losses)
    tensor([[1., 1.],
            [2., 4.]])
    >>> step.whole(losses) is losses  # of one process
    True
    >>> step.backward(step.shared(losses).sum())
    >>> features.grad
    tensor([[2.5000, 4.5000]])
    """

    scaled: Callable[[Tensor], Tensor]
    features: Tensor | None = None
    last_layer: Sequence[Tensor] = ()
    shares: Tensor | None = None
    labelled: Tensor | None = None
    replay: Replay | None = None
    over_ranks: Callable[[Tensor], Tensor] | None = None

    def whole(self, part: Tensor) -> Tensor:
        """``over_ranks`` of a part; itself in one process."""
        return part if self.over_ranks is None else self.over_ranks(part)

    def shared(self, losses: Tensor) -> Tensor:
        """(K,) losses times their shares in an accumulated step; whatever goes to ``backward`` is a sum of these."""
        return losses if self.shares is None else losses * self.shares

    def backward(self, scalar: Tensor) -> None:
        """The backward pass from a scalar, scaled: adds to the gradients of the parameters."""
        self.scaled(scalar).backward()

    def jacobian(self, losses: Tensor) -> Tensor:
        """The gradient of each loss at the features, scaled; the graph stays, and no gradient of a parameter changes.

        Args:
            losses: (K,) scalars of the graph.

        Returns:
            (K, D) float32, D the number of elements of the features.
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
    learns or remembers is resumed like everything else: from the end of an epoch by its persistent buffers, from the
    middle of one by all of them. What ``after_step`` needs of the last batch alone may be an attribute. Weights are
    scaled so that their mean is about 1, whatever the method: then the learning rate means the same as with the plain
    sum.

    >>> class WorstBalancer(Balancer):
    ...     def __init__(self, names):
    ...         super().__init__()
    ...         self.names, self.worst = tuple(names), None
    ...
    ...     def backward(self, losses, step):
    ...         stacked = step.shared(torch.stack([losses[name] for name in self.names]))
    ...         self.worst = self.names[int(stacked.argmax())]
    ...         step.backward(stacked.max())
    ...         return stacked.max().detach()
    ...
    ...     def current_weights(self):
    ...         return {name: float(name == self.worst) for name in self.names}
    >>> balancer = WorstBalancer(["mask", "age"])
    >>> balancer.begin_epoch(1, num_epochs=10)
    >>> theta = torch.tensor(1.0, requires_grad=True)
    >>> balancer.backward({"mask": 2 * theta, "age": 3 * theta}, Step(scaled=lambda scalar: scalar)), theta.grad
    (tensor(3.), tensor(3.))
    >>> balancer.after_step()
    >>> balancer.current_weights()
    {'mask': 0.0, 'age': 1.0}
    """

    @abstractmethod
    def backward(self, losses: Mapping[str, Tensor], step: Step) -> Tensor:
        """Adds the gradients of one batch.

        Args:
            losses: by name, a scalar that is part of the graph, the mean over the batch's labelled samples; exactly 0
                where no label of the batch is known.
            step: the backward pass.

        Returns:
            The scalar that is logged as the batch's loss, detached.
        """

    def after_step(self) -> None:
        """Called after every step of the optimiser, which follows one ``backward``, or several that accumulate."""

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Called before each epoch, counted from 1."""

    @abstractmethod
    def current_weights(self) -> dict[str, float]:
        """The weight of each loss by name, for the record; empty where a method has no weights."""


class WeightedBalancer(Balancer):
    """The weighted sum of the losses: sum_i w_i L_i over the K losses L_i, with weights w that a method finds anew.

    Args:
        names: (K,) of the losses.

    >>> class ByRank(WeightedBalancer):
    ...     def weigh(self, losses, step):
    ...         self.weights.copy_(losses.detach().argsort().argsort() + 0.5)
    ...         return self.weights
    >>> balancer = ByRank(["mask", "age"])
    >>> theta = torch.tensor(1.0, requires_grad=True)
    >>> balancer.backward({"mask": 2 * theta, "age": 3 * theta}, Step(scaled=lambda scalar: scalar))
    tensor(5.5000)
    >>> balancer.current_weights()
    {'mask': 0.5, 'age': 1.5}
    """

    weights: Tensor

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.register_buffer("weights", torch.ones(len(self.names)))

    @abstractmethod
    def weigh(self, losses: Tensor, step: Step) -> Tensor:
        """(K,) the weights w of one batch, without a graph.

        Args:
            losses: (K,) of the graph, in the order of ``names``.
            step: the backward pass, for a method that takes gradients of its own.
        """

    def backward(self, losses: Mapping[str, Tensor], step: Step) -> Tensor:
        """One backward pass from the weighted sum."""
        stacked = torch.stack([losses[name] for name in self.names])
        weighted = stacked * self.weigh(stacked, step)
        step.backward(step.shared(weighted).sum())
        return weighted.detach().sum()

    def current_weights(self) -> dict[str, float]:
        """The weights of the last batch."""
        return dict(zip(self.names, self.weights.tolist(), strict=True))
