#!/usr/bin/env bash
# skorch 1.4.0: predict_proba of a classifier whose loss is one's own, focal or smoothed, hands out logits.
#
# NeuralNetClassifier has scikit-learn's predict_proba. Whether a softmax stands before it is guessed from the loss: for torch's
# CrossEntropyLoss and what is derived from it, yes; for any other the network's output is handed on. A module that calls
# cross_entropy, as a focal loss does, takes the same logits, and predict is right, as the greatest one is the same.
# predict_proba of 400 points, three classes, seen here:
#                                           lowest     greatest     rows sum to        surer than .9
#   criterion=nn.CrossEntropyLoss             .00        1.00          1.00              .90 of them
#   a module that calls cross_entropy      -10.2        11.7        -3.7 to 3.4          .99 of them
# What goes on from there is silently of logits: a threshold at which a picture is referred to a person, a vote of several
# classifiers by the mean, a one-against-rest ROC AUC. No error and no warning. predict_nonlinearity=
# lambda logits: logits.softmax(-1) is what to pass.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q skorch==1.4.0 torch==2.13.0 scikit-learn==1.9.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn

warnings.simplefilter("error")
torch.set_num_threads(1)
generator = np.random.default_rng(0)
labels = generator.integers(0, 3, 400)
points = (3 * np.eye(3)[labels] + generator.normal(size=(400, 3))).astype(np.float32)


class Own(nn.Module):
    def forward(self, logits, labels):
        return nn.functional.cross_entropy(logits, labels)


def answered(criterion, **settings):
    torch.manual_seed(0)
    network = NeuralNetClassifier(
        nn.Linear(3, 3), criterion=criterion, max_epochs=40, lr=0.5, verbose=0, train_split=None, **settings
    ).fit(points, labels)
    return network.predict(points), network.predict_proba(points)


names, known = answered(nn.CrossEntropyLoss)
same, guessed = answered(Own)
told = answered(Own, predict_nonlinearity=lambda logits: logits.softmax(-1))[1]
for found in (known, guessed, told):
    sums = found.sum(1)
    print(found.min(), found.max(), sums.min(), sums.max(), (found.max(1) > 0.9).mean())
assert (names == same).all() and (names == labels).mean() > 0.8
assert np.allclose(known.sum(1), 1, atol=1e-5) and known.min() >= 0 and np.allclose(known, told, atol=1e-6)
assert guessed.min() < -1 and guessed.max() > 1.5
PYTHON
