#!/usr/bin/env bash
# monai 1.6.1: the "mean" f1 score of ConfusionMatrixMetric is not a mean over classes; of one label it is the accuracy.
#
# It takes predictions and labels as one-hot rows, and so does by default, with reduction="mean", what looks like the macro
# average: "mean_batch" gives one score for each class, and one takes "mean" for their mean. It is a mean over all cells, pictures
# times classes, in which a class counts as often as it occurs. 1,000 pictures, 900, 90 and 10 of three classes, and a network
# that says the commonest for each, seen here, for "f1 score" and for "sensitivity":
#   monai, reduction="mean"             .90      .90
#   monai, reduction="mean_batch"       .95 .00 .00      1.00 .00 .00
#   scikit-learn, average="macro"       .32      .33
# So a network that never finds two classes of three scores .9. No error and no warning. Take "mean_batch", and average that.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q monai==1.6.1 torch==2.13.0 scikit-learn==1.9.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import torch
from monai.metrics import ConfusionMatrixMetric
from sklearn.metrics import f1_score, recall_score
from torch.nn.functional import one_hot

labels = torch.arange(3).repeat_interleave(torch.tensor([900, 90, 10]))
answers = torch.zeros_like(labels)


def monai(name, **settings):
    metric = ConfusionMatrixMetric(metric_name=name, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric(one_hot(answers, 3), one_hot(labels, 3))
        return [round(float(value), 2) for value in metric.aggregate()[0].reshape(-1)]


found = {
    name: (
        monai(name),
        monai(name, reduction="mean_batch"),
        round(score(labels, answers, average="macro", zero_division=0), 2),
    )
    for name, score in (("f1 score", f1_score), ("sensitivity", recall_score))
}
print(found)
assert found == {"f1 score": ([0.9], [0.95, 0, 0], 0.32), "sensitivity": ([0.9], [1, 0, 0], 0.33)}
PYTHON
