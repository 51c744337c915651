#!/usr/bin/env bash
# torchmetrics 1.9.0: the scores of logits depend on the size of the batches, because each batch is guessed anew to be logits.
#
# Metrics take logits or probabilities, and take a batch for logits where a number in it lies outside [0, 1]. A batch of logits
# that all happen to lie inside is taken for probabilities: .3, which means .57, is then a negative, and ranks below the .5 that
# the logit 0 of another batch became. Of 400 logits (standard deviation 1.5), one head, seen here by batches of
#         400     16      4       2       1
#   AUROC .822    .822    .814    .811    .796        F1  .720    .720    .715    .715    .679
# A small last batch, a video's frames one by one, or a head that few pictures of a batch have a label of are such batches, and
# the less sure the network is, the more of them there are. No warning. Pass sigmoids or softmaxes.
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
from torchmetrics.classification import BinaryAUROC, BinaryF1Score

generator = torch.Generator().manual_seed(0)
logits = 1.5 * torch.randn(400, generator=generator)
truth = (torch.rand(400, generator=generator) < (logits - 0.5).sigmoid()).long()


def scores(answers, num):
    auroc, f1 = BinaryAUROC(), BinaryF1Score()
    for start in range(0, 400, num):
        for metric in (auroc, f1):
            metric.update(answers[start : start + num], truth[start : start + num])
    return round(float(auroc.compute()), 3), round(float(f1.compute()), 3)


by_logits = {num: scores(logits, num) for num in (400, 16, 4, 2, 1)}
by_probs = {scores(logits.sigmoid(), num) for num in by_logits}
print(by_logits, by_probs)
assert by_probs == {by_logits[400]}
for score in (0, 1):
    assert by_logits[1][score] < by_logits[400][score] - 0.02
PYTHON
