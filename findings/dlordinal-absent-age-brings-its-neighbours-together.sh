#!/usr/bin/env bash
# dlordinal 2.7.0: accuracy_off1 and amae of pictures that lack a class count two steps as one, and accuracy_off1 leaves out
# the pictures that are taken for the absent class.
#
# accuracy_off1 is the share of pictures whose class is at most one off, amae the mean over classes of the distance. Distance is
# that of rows of the confusion matrix, which has one for each class that occurs: of classes 0, 2, 3 and 5, as the test of a
# rare age group has them, 0 and 2 are neighbours, 3 and 5 too. For accuracy_off1 only the labels count as occurring, and a
# picture that was taken for another class is in no cell, thus in no sum. Pictures of 0, 2, 3 and 5, alike many, seen here:
#                                                         accuracy_off1    with labels=range(6)    amae    by hand
#   half of them right, half two off (0 as 2, 3 as 5)          1.00                .50              .50      1.00
#   half right, a quarter two off (2 as 4), a quarter          1.00                .50             1.50      1.50
#   four off (5 as 1)
# The fewer classes a fold has, the better each network looks. No error and no warning. accuracy_off1 takes labels=; amae and
# mmae do not, so compute these from numpy.abs(prediction - label).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q dlordinal==2.7.0 torch==2.13.0 torchvision==0.28.0 scikit-learn==1.9.1 pandas==3.1.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
import torch

try:
    import torchvision
except RuntimeError:  # a CPU build of torch beside torchvision's usual build: its compiled operators are not needed here
    import sys

    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    schemas = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        schemas.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from dlordinal.metrics import accuracy_off1, amae

warnings.simplefilter("error")
labels = np.array([0, 2, 3, 5] * 10)


def scores(answer):
    """accuracy_off1, the same told of all classes, amae, and the mean over classes of the absolute distance."""
    predicted = np.array([answer.get(label, label) for label in labels])
    distance = np.abs(predicted - labels)
    by_hand = np.mean([distance[labels == label].mean() for label in np.unique(labels)])
    assert np.isclose(accuracy_off1(labels, predicted, labels=range(6)), (distance <= 1).mean())
    found = accuracy_off1(labels, predicted), (distance <= 1).mean(), amae(labels, predicted), by_hand
    return tuple(round(float(value), 2) for value in found)


two_off, absent = scores({0: 2, 3: 5}), scores({2: 4, 5: 1})
print(two_off, absent)
assert two_off == (1, 0.5, 0.5, 1) and absent == (1, 0.5, 1.5, 1.5)
PYTHON
