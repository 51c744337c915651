"""The marginal likelihood of labels that are known in part, for one head over all classes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multitask.labels import MISSING
from multitask.losses.task_losses import TaskLoss


class MarginalLoss(TaskLoss):
    """The loss of a head over all classes that learns from samples of which only some tasks' labels are known, too.

    (sum_i w_i l_i - sum_j w_j log sum_(y in A_j) p(y | x_j)) / (sum_i w_i + sum_j w_j), with l_i the loss of sample i
    whose class is known, w the samples' weights, and A_j the classes that agree with what is known of sample j: its
    marginal likelihood, the classifier-consistent loss of Feng et al. 2020, https://arxiv.org/abs/2007.08929. Class
    weights and smoothing count in l alone. In a batch without any such sample it is the loss itself.

    Args:
        loss: of the samples whose class is known.
        targets: (K,) the labels, below ``MISSING``, that stand for partial knowledge; rising.
        agreeing: (K, C) bool, A.

    >>> from multitask.losses.task_losses import ClasswiseLoss
    >>> loss = MarginalLoss(ClasswiseLoss(torch.neg, torch.ones(3)), np.array([-5]), np.array([[True, True, False]]))
    >>> loss.begin_epoch(1, num_epochs=10)
    >>> log_probs = torch.tensor([[0.5, 0.3, 0.2]] * 3).log()
    >>> loss(log_probs, torch.tensor([0, -5, -1]), torch.ones(3), torch.zeros(3))  # (-log 0.5 - log 0.8) / 2
    tensor(0.4581)
    """

    targets: Tensor
    agreeing: Tensor

    def __init__(self, loss: TaskLoss, targets: NDArray[np.int64], agreeing: NDArray[np.bool_]) -> None:
        super().__init__()
        self.loss = loss
        self.register_buffer("targets", torch.from_numpy(targets), persistent=False)
        self.register_buffer("agreeing", torch.from_numpy(agreeing), persistent=False)

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Passed on."""
        self.loss.begin_epoch(epoch, num_epochs)

    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        """A scalar; arguments as of ``TaskLoss``, and labels below ``MISSING`` as of ``targets``."""
        partial = labels < MISSING
        whole: Tensor = self.loss(log_probs, labels.clamp(min=MISSING), sample_weights, numbers)
        if not bool(partial.any()):
            return whole
        rows = self.agreeing[torch.searchsorted(self.targets, labels[partial])]
        losses = -log_probs[partial].masked_fill(~rows, -torch.inf).logsumexp(dim=1)
        weights = sample_weights[partial]
        whole_weight = (sample_weights * (labels > MISSING)).sum()
        total = whole_weight + weights.sum()
        return (whole * whole_weight + (losses * weights).sum()) / torch.where(total > 0, total, torch.ones_like(total))
