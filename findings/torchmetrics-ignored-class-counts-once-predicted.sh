#!/usr/bin/env bash
# torchmetrics 1.9.0: a class that is named by ignore_index counts as a class of score 0 as soon as it is predicted once.
#
# ignore_index drops the pictures of a class, such as "background" or "other". An average over classes then leaves out the
# ones that nobody has and nobody predicts, and so the ignored one too, until one of the other pictures is taken for it: from
# there on it is a class with a false positive and no true one, whose score is 0. Of three classes with 50 pictures each, the
# first one ignored, a network that makes one mistake, seen here:
#                                  none      one taken for the other class    one taken for the ignored class
#   MulticlassF1Score (macro)      1.00                  .99                              .66
#   MulticlassAccuracy             1.00                  .99                              .66
# Up to a share of 1 / num_classes hangs on one picture, so that epochs and folds differ by whether it was there; the mean over
# classes does not say how many they were, and average="micro" and average="none" look sound. Take the mean of
# average="none" over the classes that are wanted.
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
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

truth = torch.arange(3).repeat_interleave(50)


def score(metric, mistake, **settings):
    """The score where a picture of class 1 is taken for another class; those of class 0 are not all right either."""
    answers = truth.clone()
    answers[60] = mistake
    answers[:50] = torch.arange(50) % 3
    return [round(value, 2) for value in metric(3, ignore_index=0, **settings)(answers, truth).reshape(-1).tolist()]


for metric in (MulticlassF1Score, MulticlassAccuracy):
    perfect, other, ignored = (score(metric, mistake)[0] for mistake in (1, 2, 0))
    print(metric.__name__, perfect, other, ignored, score(metric, 0, average="micro"), score(metric, 0, average="none"))
    assert perfect == 1 and other == 0.99 and 0.64 < ignored < 0.68
    assert score(metric, 0, average="micro")[0] > 0.98
    assert min(score(metric, 0, average="none")[1:]) > 0.97
PYTHON
