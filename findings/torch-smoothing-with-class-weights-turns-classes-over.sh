#!/usr/bin/env bash
# torch 2.13.0: label smoothing together with class weights makes the common class be taken for the rare one.
#
# Both are arguments of CrossEntropyLoss, and each is harmless alone. Smoothing hands a small share of a picture's label to all
# classes; one would have the picture's weight, that of its label, stand before the sum. It is the other way about: each class's
# share is multiplied by that class's own weight. With .1 of smoothing, two classes and weights of 1 and 50, a common picture
# pulls .95 towards its label and 2.5 towards the rare class, so that the best answer to it is the rare class with .72. 1,000
# points of two classes far apart, a logistic regression trained to the end, accuracy on these points, seen here:
#   rare points                                        100      50      20
#   weights total / (2 * count), smoothing 0          1.00    1.00    1.00
#   no weights, smoothing .1                          1.00    1.00    1.00
#   weights and smoothing .1                           .99     .52     .02: every point is called rare
# The loss falls and the recall of the rare class is 1, as one wants it of weights. No warning. To smooth with weights, compute
# the loss with reduction="none" and without weight=, and take the mean weighted by weight[label].
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
from torch.nn.functional import cross_entropy

warnings.simplefilter("error")
torch.set_num_threads(1)


def accuracy(rare, weighted, smoothing, outside=False):
    """Accuracy, and recall of the rare class, of a logistic regression on 1,000 points of two classes far apart."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * (1000 - rare) + [1] * rare)
    points = (labels * 6.0 - 3 + 0.3 * torch.randn(1000, generator=generator))[:, None]
    weights = 1000 / (2 * torch.bincount(labels).float()) if weighted else torch.ones(2)
    torch.manual_seed(0)
    network = nn.Linear(1, 2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(500):
        optimizer.zero_grad()
        if outside:
            losses = cross_entropy(network(points), labels, label_smoothing=smoothing, reduction="none")
            loss = (losses * weights[labels]).sum() / weights[labels].sum()
        else:
            loss = cross_entropy(network(points), labels, weight=weights, label_smoothing=smoothing)
        loss.backward()
        optimizer.step()
    hits = network(points).argmax(1) == labels
    return round(hits.float().mean().item(), 2), round(hits[labels == 1].float().mean().item(), 2)


for rare in (100, 50, 20):
    plain, smooth, both = accuracy(rare, True, 0.0), accuracy(rare, False, 0.1), accuracy(rare, True, 0.1)
    mended = accuracy(rare, True, 0.1, outside=True)
    print(rare, plain, smooth, both, mended)
    assert plain == smooth == mended == (1, 1) and both[1] == 1
    assert {100: 0.9 < both[0], 50: 0.3 < both[0] < 0.7, 20: both[0] == 0.02}[rare]
PYTHON
