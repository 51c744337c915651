#!/usr/bin/env bash
# torch 2.13.0: cross_entropy divides by the weights of a batch's labels, and of labels as rows by the number of its pictures.
#
# The same labels as numbers and as one-hot rows give the same loss as long as there is no weight=. With class weights the mean
# over numbers is a weighted one, whose scale does not matter: 1 / count does as well as balanced weights. Over rows, as Mixup,
# CutMix and distillation make them, the sum is divided by the number of pictures, and the weights' scale is that of the loss.
# 1,000 pictures of three classes, 900, 90 and 10 of each, the loss of a network that knows nothing, seen here:
#                                                         as numbers    as one-hot rows
#   no weights                                               1.10           1.10
#   1 / count                                                1.10            .0033
#   1,000 / (3 * count)                                      1.10           1.10
#   the same, 64 pictures of the commonest class             1.10            .41
#   the same, one picture of the rarest                      1.10          36.6
# So where Mixup is turned on, a head's loss falls to 1/300, and beside other heads it stops learning; validation, whose labels
# are numbers, shows no such scale. Balanced weights are right on average, and a batch with rare classes takes a step of many
# times the size. No warning. Have weights whose mean over the pictures is 1, or divide by the weights of the rows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torch==2.13.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import torch
from torch.nn.functional import cross_entropy, one_hot

warnings.simplefilter("error")
counts = torch.tensor([900, 90, 10])
labels = torch.arange(3).repeat_interleave(counts)


def losses(labels, weights):
    """The loss of a network that knows nothing yet, of labels as numbers and as rows."""
    logits = torch.zeros(len(labels), 3)
    return [round(float(cross_entropy(logits, kind, weight=weights)), 4) for kind in (labels, one_hot(labels, 3).float())]


balanced = counts.sum() / (3 * counts)
found = {
    "none": losses(labels, None),
    "1 / count": losses(labels, 1 / counts),
    "balanced": losses(labels, balanced),
    "common": losses(labels[:64], balanced),
    "rare": losses(labels[-1:], balanced),
}
print(found)
assert all(abs(number - 1.0986) < 1e-3 for number, _ in found.values())
assert [row for _, row in found.values()] == [1.0986, 0.0033, 1.0986, 0.4069, 36.6204]
PYTHON
