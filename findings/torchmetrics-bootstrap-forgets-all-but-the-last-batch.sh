#!/usr/bin/env bash
# torchmetrics 1.9.0: a BootStrapper that is called batch by batch answers for the last one; of batches of one it has no spread.
#
# metric(predictions, labels) answers for the batch and keeps it, so that compute() is of all batches; update() only keeps it.
# BootStrapper holds copies of a metric and no state of its own. When called it resets the copies to measure the batch alone,
# and then restores its own state, which is none: what was before is lost. The other trap is in sampling_strategy="multinomial",
# the bootstrap of the books: pictures are drawn again within their batch, and in a batch of one there is nothing to draw. Mean
# and standard deviation of an accuracy of .815 over 200 pictures, whose standard error is .027, the last 20 right, seen here:
#                            update, poisson    update, multinomial    called, poisson
#   one batch of 200          .816    .028        .814    .030           .820    .028
#   batches of 20             .813    .024        .817    .028          1.000    .000
#   batches of 2              .816    .026        .813    .016
#   batches of 1              .813    .032        .815    .000
# No error and no warning (only if a copy draws nothing of the last batch, as happens with tiny ones). Call update(), never the
# metric; leave the strategy at poisson, or keep the predictions and update once with all of them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import math
import warnings

import torch
from torchmetrics.classification import BinaryAccuracy
from torchmetrics.wrappers import BootStrapper

warnings.simplefilter("error")
torch.set_num_threads(1)
torch.manual_seed(0)
labels = torch.randint(2, (200,))
right = torch.rand(200) < 0.8
right[-20:] = True
predictions = torch.where(right, labels, 1 - labels)
accuracy = right.float().mean().item()
error = math.sqrt(accuracy * (1 - accuracy) / 200)
print(round(accuracy, 3), round(error, 3))


def told(size, strategy, called=False):
    """Mean and standard deviation of the bootstrapped accuracy, the pictures handed over in batches of this size."""
    metric = BootStrapper(BinaryAccuracy(), num_bootstraps=100, sampling_strategy=strategy)
    for batch in zip(predictions.split(size), labels.split(size)):
        (metric if called else metric.update)(*batch)
    values = metric.compute()
    return round(values["mean"].item(), 3), round(values["std"].item(), 3)


for size in (200, 20, 2, 1):
    poisson, multinomial = told(size, "poisson"), told(size, "multinomial")
    print(size, poisson, multinomial)
    assert abs(poisson[0] - accuracy) < 0.02 and 0.75 * error < poisson[1] < 1.3 * error
    assert abs(multinomial[0] - accuracy) < 0.02
    if size == 2:
        assert multinomial[1] < 0.85 * error
    if size == 1:
        assert multinomial[1] == 0
whole, parts = told(200, "poisson", called=True), told(20, "poisson", called=True)
print(whole, parts)
assert abs(whole[0] - accuracy) < 0.02 and whole[1] > 0.75 * error and parts == (1, 0)
PYTHON
