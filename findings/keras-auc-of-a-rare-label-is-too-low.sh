#!/usr/bin/env bash
# keras 3.15.1: the AUC of a label is the lower the rarer the label is, for the same ranks of the pictures.
#
# An AUC is a matter of ranks: whether probabilities lie near 1 or near .001 is all one to it, as it is to scikit-learn's and,
# by default, to torchmetrics'. keras.metrics.AUC counts at 200 thresholds that are .005 apart, and what lies between two of
# them is a tie. A head of a rare label gives probabilities of that size if it is calibrated. Labels that are told apart equally
# well, 100,000 pictures of each, seen here:
#   pictures that have the label           30 %     1 %    .3 %    .1 %
#   keras                                  .94     .92     .86     .79
#   keras, the same logits, raised         .94     .94     .93     .94
#   scikit-learn, either way               .94     .94     .93     .94
# So among several heads the rare ones seem not to learn, and of two networks the one that overstates a rare label looks
# better: a weight on its positives lifts the score with no picture ranked otherwise. No error and no warning. The docstring
# asks for probabilities that are spread out, which nobody checks; more num_thresholds help, or the AUC of stored predictions.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q keras==3.15.1 jax==0.10.2 scikit-learn==1.9.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import os
import warnings

os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np
from sklearn.metrics import roc_auc_score

warnings.simplefilter("error")
warnings.simplefilter("ignore", DeprecationWarning)  # of numpy, about what keras calls


def auc(labels, logits):
    """The AUC of the same probabilities by keras and by scikit-learn."""
    probabilities = 1 / (1 + np.exp(-logits))
    metric = keras.metrics.AUC()
    metric.update_state(labels, probabilities)
    return round(float(metric.result()), 2), round(float(roc_auc_score(labels, probabilities)), 2)


found = {}
for share in (0.3, 0.01, 0.003, 0.001):
    rng = np.random.default_rng(0)
    labels = (rng.random(100_000) < share).astype("int64")
    evidence = 2.2 * (2.2 * labels + rng.normal(size=100_000) - 1.1)  # log of how much likelier with the label
    prior = np.log(share / (1 - share))
    assert abs((1 / (1 + np.exp(-evidence - prior))).mean() - labels.mean()) < 0.2 * share  # calibrated
    found[share] = *auc(labels, evidence + prior), *auc(labels, evidence)
print(found)
assert all(row[1] == row[2] == row[3] >= 0.93 for row in found.values())
assert found[0.3][0] == 0.94 and found[0.01][0] > 0.9 and found[0.003][0] < 0.88 and found[0.001][0] < 0.82
PYTHON
