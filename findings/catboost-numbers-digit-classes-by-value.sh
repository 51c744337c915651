#!/usr/bin/env bash
# CatBoost 1.2.10 and scikit-learn 1.9.1: class names that are digits, as text, have another order of columns in each.
#
# Folders and exported tables call classes "0" to "17", and labels read from them are text. scikit-learn sorts them as text: 0,
# 1, 10, 11, 2; so do numpy, LabelEncoder and what log_loss expects. CatBoost, whose classifier has the same methods, sorts text
# that can be read as numbers by value: 0, 1, 2, .. 11. With ten names or fewer, or with "mask" and "bare", the two agree. Two
# classifiers of the same twelve classes, accuracy on fresh points, seen here:
#   random forest alone .67       CatBoost alone .69       mean of both predict_proba .15, with columns by name .69
#   CatBoost's log_loss 6.58, with the columns as log_loss takes them .89       its ROC AUC .44, and .95
# predict gives the right names, the columns sum to 1, and no warning. Reorder the columns by each one's classes_.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q catboost==1.2.10 scikit-learn==1.9.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
from catboost import CatBoostClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score

warnings.simplefilter("error")
rng = np.random.default_rng(0)
centres, number = rng.normal(size=(12, 6)) * 1.3, rng.integers(0, 12, 2400)
points, labels = centres[number] + rng.normal(size=(2400, 6)), number.astype(str)
train, test = slice(0, 1200), slice(1200, None)
cat = CatBoostClassifier(iterations=60, depth=4, verbose=0, thread_count=1, random_seed=0).fit(points[train], labels[train])
forest = RandomForestClassifier(100, random_state=0).fit(points[train], labels[train])
plain, other = cat.predict_proba(points[test]), forest.predict_proba(points[test])
sorted_ = plain[:, np.argsort(cat.classes_.astype(str))]


def accuracy(probabilities, classes):
    return round(float((classes[probabilities.argmax(1)] == labels[test]).mean()), 3)


found = {
    "forest": accuracy(other, forest.classes_),
    "CatBoost": accuracy(plain, cat.classes_),
    "mean": accuracy((plain + other) / 2, forest.classes_),
    "mean by name": accuracy((sorted_ + other) / 2, forest.classes_),
}
losses = [round(log_loss(labels[test], each), 2) for each in (plain, sorted_)]
areas = [round(float(roc_auc_score(labels[test], each, multi_class="ovr")), 2) for each in (plain, sorted_)]
print(found, losses, areas, cat.classes_, forest.classes_)
assert list(cat.classes_) == [str(index) for index in range(12)] and list(forest.classes_) == sorted(cat.classes_)
assert (cat.predict(points[test]).ravel() == labels[test]).mean() > 0.6 and min(found["forest"], found["CatBoost"]) > 0.6
assert found["mean"] < 0.25 and found["mean by name"] > 0.65
assert losses[0] > 5 > 1 > losses[1] and areas[0] < 0.6 < 0.9 < areas[1]
PYTHON
