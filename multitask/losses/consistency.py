"""A loss of answers that differ within a group, for tasks whose label belongs to the group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from multitask.labels import MISSING

_SMALLEST = 1e-12  # of a probability whose logarithm is taken: some heads give labels none at all


class Consistency(nn.Module):
    """The divergence of a group's answers from their mean, of each of some tasks.

    1 / M sum_i KL(p_i || m_g(i)), with p_i the probabilities of image i, m_g their mean over the images of group g in
    the batch, and the sum over the M images whose group has another in the batch; 0 where none has. It is the
    generalised Jensen-Shannon divergence (Lin 1991) of each group's answers. Groups in which no image has the task's
    label are left out, since only labels show that a group has one; in the others images without a label count as
    well, and so do those of weight 0. That a gradient goes through the mean too changes nothing: it is what minimises
    the sum, so its own part of the gradient is 0.

    Args:
        tasks: whose labels belong to the group.
        weight: of the loss, beside the head's own.

    >>> consistency = Consistency(["gender"], weight=2.0)
    >>> log_probs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]).log()
    >>> consistency({"gender": log_probs}, torch.tensor([[7], [7], [3]]))["gender"]  # 2 log 2; the third image is alone
    tensor(1.3863)
    """

    def __init__(self, tasks: Sequence[str], weight: float) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.weight = weight

    def forward(self, log_probs: Mapping[str, Tensor], groups: Tensor) -> dict[str, Tensor]:
        """A scalar for each task, times the weight.

        Args:
            log_probs: (B, C_t) by task.
            groups: (B, T) int64, a column for each task: the same number for images of one group, ``MISSING`` where no
                image of the group has the task's label.
        """
        found = {}
        for task, numbers in zip(self.tasks, groups.unbind(dim=1), strict=True):
            same = numbers.unsqueeze(1) == numbers
            sizes = same.sum(dim=1)
            paired = (sizes > 1) & (numbers != MISSING)
            shares = same / sizes.unsqueeze(1)
            logs = log_probs[task].float().clamp(min=torch.finfo(torch.float32).min)  # 0 times -inf would be NaN
            probs = logs.exp()
            mean = (shares @ probs).clamp(min=_SMALLEST)
            divergence = (probs * (logs - mean.log())).sum(dim=1)
            found[task] = self.weight * (divergence * paired).sum() / paired.sum().clamp(min=1)
        return found
