#!/usr/bin/env bash
# torchinfo 1.8.0: summary() of a network whose batch norm is held in eval mode sets it to training.
#
# A frozen backbone keeps its running means and variances where its batch norm is put in eval mode while the heads train. That
# is a flag of each layer. summary(), which one calls to look at the sizes just before the first epoch, runs the network in eval
# mode and then puts back the mode of the outermost module, by train(), which goes down to every layer. From there on each batch
# of the training moves the statistics. A network in training with one batch norm in eval, its running mean and the answers
# that it gives in evaluation, before and after twenty passes over pictures that are 3 brighter, seen here:
#   without summary()    the mean stays 0        the answers are the same
#   with summary()       the mean is 2.6         the answers are others, though no weight was touched
# No error and no warning, and the table that it prints is right. Put the layers in eval mode after it, or in train() itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torchinfo==1.8.0 torch==2.13.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import torch
import torchinfo
from torch import nn

warnings.simplefilter("error")


def passes(look):
    """The running mean, and how far the answers in evaluation moved, after twenty passes in training."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    pictures = torch.randn(16, 3, 8, 8) + 3
    before = network.requires_grad_(False).eval()(pictures)
    network.train()
    network[0].eval()
    if look:
        torchinfo.summary(network, (1, 3, 8, 8), verbose=0)
    assert network.training and network[0].training == look
    for _ in range(20):
        network(pictures)
    moved = (network.eval()(pictures) - before).abs().max()
    return round(float(network[0].running_mean.mean()), 1), round(float(moved), 2)


plain, looked = passes(look=False), passes(look=True)
print(plain, looked)
assert plain == (0, 0) and looked[0] > 2 and looked[1] > 0.1
PYTHON
