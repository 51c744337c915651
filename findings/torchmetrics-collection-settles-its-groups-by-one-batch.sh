#!/usr/bin/env bash
# torchmetrics 1.9.0: what a MetricCollection answers for metrics of other settings depends on its first batch.
#
# A collection saves work where several metrics count the same things. Which do, it settles once, after the first update, by
# comparing the counts: what is equal then is counted once from then on, and the others answer from the first one's counts. Two
# metrics that differ in a threshold or in ignore_index agree on a batch in which no picture lies between the thresholds, or
# none has the label that is ignored. The same 200 pictures in batches of 8, in two orders, seen here:
#                                        such a batch first    such a batch not first    compute_groups=False, either order
#   F1 at thresholds .5 and .7              .732  .732               .732  .611                  .732  .611
#   macro-F1, and with ignore_index=2       .795  .795               .795  .554                  .795  .554
# Of shuffled orders of these pictures one in five begins with such a batch for the thresholds. No warning.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

warnings.simplefilter("error")
import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryF1Score, MulticlassF1Score

generator = torch.Generator().manual_seed(0)
probs = torch.rand(200, generator=generator)
positive = (torch.rand(200, generator=generator) < probs).long()
classes = torch.randint(0, 3, (200,), generator=generator)
answers = torch.where(torch.rand(200, generator=generator) < 0.7, classes, torch.randint(0, 3, (200,), generator=generator))
unsure = ((probs > 0.5) & (probs <= 0.7)).long()


def thresholds():
    return {"at_5": BinaryF1Score(threshold=0.5), "at_7": BinaryF1Score(threshold=0.7)}


def ignoring():
    return {"all": MulticlassF1Score(3), "without_2": MulticlassF1Score(3, ignore_index=2)}


def scores(metrics, answered, truth, order, **how):
    collection = MetricCollection(metrics(), **how)
    for batch in order.split(8):
        collection.update(answered[batch], truth[batch])
    return [round(float(score), 3) for score in collection.compute().values()]


for metrics, answered, truth, last in ((thresholds, probs, positive, unsure), (ignoring, answers, classes, classes)):
    order = torch.argsort(last, stable=True)
    merged, apart = (scores(metrics, answered, truth, each) for each in (order, order.flip(0)))
    alone = [scores(metrics, answered, truth, each, compute_groups=False) for each in (order, order.flip(0))]
    print(metrics.__name__, merged, apart, alone)
    assert alone[0] == alone[1] == apart and apart[0] - apart[1] > 0.1
    assert merged == [apart[0], apart[0]]
shuffled = [torch.randperm(200, generator=torch.Generator().manual_seed(seed)) for seed in range(200)]
print(sum(not unsure[order[:8]].any() for order in shuffled) / 200, "of shuffled orders begin so")
PYTHON
