#!/usr/bin/env bash
# scikit-learn 1.9.1: the weights of cohen_kappa_score measure distance in the sorted list of the labels that occur, not
# between the labels.
#
# weights="quadratic" is the usual score of ordered classes (age bands, grades): an error by four steps should cost sixteen
# times one by a single step. The distance that is taken is between places in the confusion matrix. Where a fold or a test set
# lacks a band, its neighbours are drawn together; where the classes have names, the order is that of the alphabet. Of 300
# pictures, seen here:
#   grades 0, 1 and 4, as they are   .648       with labels=[0, 1, 2, 3, 4]              .692
#   "low", "mid" and "high"          .086       with labels=["low", "mid", "high"]       .628, as with 0, 1 and 2
# No warning, and each figure looks like a kappa. Folds that lack different bands are scored on different scales: pass labels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q scikit-learn==1.9.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
from sklearn.metrics import cohen_kappa_score

warnings.simplefilter("error")
rng = np.random.default_rng(0)


def kappa(truth, answer, labels=None):
    return round(float(cohen_kappa_score(truth, answer, weights="quadratic", labels=labels)), 4)


grades = np.array([0, 1, 4])
truth = rng.choice(grades, 300)
answer = np.where(rng.random(300) < 0.7, truth, rng.choice(grades, 300))
squared = ((truth - answer) ** 2).mean() / ((truth[:, None] - answer[None, :]) ** 2).mean()
found = {
    "as they are": kappa(truth, answer),
    "with labels": kappa(truth, answer, range(5)),
    "by hand": round(float(1 - squared), 4),
}

names = np.array(["low", "mid", "high"])
truth = rng.integers(0, 3, 300)
answer = np.clip(truth + rng.integers(-1, 2, 300), 0, 2)
named = {
    "names": kappa(names[truth], names[answer]),
    "with labels": kappa(names[truth], names[answer], names),
    "numbers": kappa(truth, answer),
}
print(found, named)
assert found["with labels"] == found["by hand"] and found["as they are"] < found["with labels"] - 0.03
assert named["with labels"] == named["numbers"] > 0.6 and named["names"] < 0.2
PYTHON
