#!/usr/bin/env bash
# torch 2.13.0: a learning rate that is given as a tensor is one tensor for all groups of parameters, and each schedule of one
# group changes the rate of every other.
#
# lr=torch.tensor(.1) is what torch advises for a compiled step, which a float would compile again at each change. An optimizer
# hands the default to its groups as it is, without a copy, and schedulers write into the tensor in place, group after group.
# So the last group's schedule holds for all, and what multiplies multiplies as often as there are groups. A backbone and a
# head as two groups, their rates seen here:
#                                                     lr=.1            lr=torch.tensor(.1)
#   LambdaLR, the backbone warmed up over 4 epochs    .025, .1           .1, .1     in epoch 1
#   LambdaLR, the head at a tenth                     .1, .01           .01, .01
#   OneCycleLR(max_lr=[.1, .01]) at its peak          .1, .01           .01, .01
#   ReduceLROnPlateau(factor=.5), lowered once       .05, .05          .025, .025
# StepLR, where all groups have one schedule, is right. No error and no warning, and get_last_lr tells what it wrote. Give each
# group a tensor of its own: {"params": ..., "lr": torch.tensor(.1)}.
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
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau, StepLR

warnings.simplefilter("error")


def warmed(optimizer):
    return LambdaLR(optimizer, [lambda epoch: min(1, epoch / 4), lambda epoch: 1])


def tenth(optimizer):
    return LambdaLR(optimizer, [lambda epoch: 1, lambda epoch: 0.1])


def cycle(optimizer):
    return OneCycleLR(optimizer, max_lr=[0.1, 0.01], total_steps=10, pct_start=0.2, cycle_momentum=False)


def plateau(optimizer):
    return ReduceLROnPlateau(optimizer, factor=0.5, patience=0)


def steps(optimizer):
    return StepLR(optimizer, 1, gamma=0.5)


def rates(schedule, rate, own=False):
    """Rates of the backbone and of the head after an epoch, or two for a plateau, of a loss that stays the same."""
    backbone, head = nn.Linear(4, 4), nn.Linear(4, 2)
    groups = [{"params": part.parameters()} for part in (backbone, head)]
    if own:
        groups = [{**group, "lr": rate.clone()} for group in groups]
    optimizer = torch.optim.SGD(groups, lr=rate)
    scheduler = schedule(optimizer)
    for _ in range(2 if schedule is plateau else 1):
        head(backbone(torch.ones(1, 4))).sum().backward()
        optimizer.step()
        scheduler.step(*([1.0] if schedule is plateau else []))
    return [round(float(group["lr"]), 4) for group in optimizer.param_groups]


expected = {
    warmed: ([0.025, 0.1], [0.1, 0.1]), tenth: ([0.1, 0.01], [0.01, 0.01]), cycle: ([0.1, 0.01], [0.01, 0.01]),
    plateau: ([0.05, 0.05], [0.025, 0.025]), steps: ([0.05, 0.05], [0.05, 0.05]),
}
for schedule, (right, shared) in expected.items():
    found = rates(schedule, 0.1), rates(schedule, torch.tensor(0.1)), rates(schedule, torch.tensor(0.1), own=True)
    print(schedule.__name__, *found)
    assert found == (right, shared, right)
PYTHON
