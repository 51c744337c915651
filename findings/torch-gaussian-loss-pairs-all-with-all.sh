#!/usr/bin/env bash
# torch 2.13.0: GaussianNLLLoss compares each prediction with all targets of the batch where the one has a trailing axis of 1.
#
# A regression head that ends in Linear(.., 1) gives (batch, 1), and a batch of ages is (batch,). By broadcasting that is a
# square of all pairs. torch knows the trap: of such shapes MSELoss, L1Loss, SmoothL1Loss and HuberLoss warn, and
# BCEWithLogitsLoss refuses. GaussianNLLLoss checks its variance against the prediction, and never the targets; PoissonNLLLoss
# checks nothing. The best answer to all pairs is one number for everybody. An input that tells the target but for a noise of
# .3, 300 steps, the share of the targets' variance that is explained, seen here:
#                             targets (batch,)    targets (batch, 1)
#   GaussianNLLLoss                .00                  .89
#   PoissonNLLLoss                 .00                  .88
# The loss falls in either case, and no warning says that one head is learning a mean.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torch==2.13.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import torch
from torch import nn

warnings.simplefilter("error")
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
inputs = torch.randn(256, 1, generator=generator)
ages = 3 + inputs[:, 0] + 0.3 * torch.randn(256, generator=generator)


def explained(kind, targets):
    """R2 of a linear head, mean and spread where the loss takes a spread."""
    torch.manual_seed(0)
    head = nn.Linear(1, 2)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    losses = []
    for _ in range(300):
        mean, spread = head(inputs).split(1, dim=1)
        if kind is nn.GaussianNLLLoss:
            loss = kind()(mean, targets, nn.functional.softplus(spread))
        elif kind is nn.PoissonNLLLoss:
            loss = kind(log_input=False)(nn.functional.softplus(mean), targets)
            mean = nn.functional.softplus(mean)
        else:
            loss = kind()(mean, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
    return round((1 - (mean[:, 0] - ages).square().mean() / ages.var()).item(), 2)


for kind in (nn.GaussianNLLLoss, nn.PoissonNLLLoss):
    flat, column = explained(kind, ages.clamp(min=0)), explained(kind, ages.clamp(min=0)[:, None])
    print(kind.__name__, flat, column)
    assert abs(flat) < 0.05 and column > 0.85
for kind in (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCEWithLogitsLoss):
    try:
        explained(kind, ages)
    except (UserWarning, ValueError) as told:
        print(kind.__name__, str(told)[:60])
    else:
        raise AssertionError(f"{kind.__name__} says nothing either")
PYTHON
