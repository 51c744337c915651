#!/usr/bin/env bash
# torcheval 0.0.7: the top-5 accuracy of a network that answers NaN, or the same for every class, is 1.
#
# A picture counts as a hit where fewer than k classes have a greater score than its own class. Nothing is greater than NaN, and
# of equal scores none is greater: each label is a hit. For k=1, the default, argmax is taken instead, which gives class 0, so
# that the very same answers have an accuracy of one in a hundred. hit_rate and reciprocal_rank count alike. 2,000 pictures of
# 100 classes, seen here:
#                                         k=1      k=5     k=5 by topk    hit_rate, k=5    mean reciprocal_rank
#   a network                             .23      .51        .51              .51                .37
#   its probabilities to two decimals     .23      .55        .50              .55                .39
#   the same for every class              .01     1.00        .05             1.00               1.00
#   NaN                                   .01     1.00        .05             1.00               1.00
# A checkpoint or a search that goes by top-5 accuracy thus keeps the epoch that diverged, or a head whose units are all dead,
# and none can beat it. No error and no warning. Count scores.topk(k).indices == labels[:, None], and assert that scores are
# finite.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torcheval==0.0.7 torch==2.13.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import torch
from torcheval.metrics import MulticlassAccuracy
from torcheval.metrics.functional import hit_rate, reciprocal_rank

warnings.simplefilter("error")
torch.set_num_threads(1)
torch.manual_seed(0)
labels = torch.randint(100, (2000,))
logits = torch.randn(2000, 100) * 3
logits[torch.arange(2000), labels] += 5
probabilities = logits.softmax(1)


def accuracy(scores, k):
    metric = MulticlassAccuracy(num_classes=100, k=k)
    for batch in zip(scores.split(500), labels.split(500)):
        metric.update(*batch)
    return metric.compute()


def row(scores):
    by_topk = (scores.topk(5).indices == labels[:, None]).any(1).float().mean()
    found = accuracy(scores, 1), accuracy(scores, 5), by_topk, hit_rate(scores, labels, k=5).mean()
    return [round(float(value), 2) for value in (*found, reciprocal_rank(scores, labels).mean())]


known, rounded = row(probabilities), row(probabilities.mul(100).round() / 100)
same, broken = row(torch.zeros(2000, 100)), row(torch.full((2000, 100), torch.nan))
for found in (known, rounded, same, broken):
    print(found)
assert known[1] == known[2] == known[3] and 0.4 < known[1] < 0.6 and rounded[1] >= rounded[2] + 0.03
for found in (same, broken):
    assert found[0] < 0.03 and found[1] == found[3] == found[4] == 1 and found[2] < 0.1
PYTHON
