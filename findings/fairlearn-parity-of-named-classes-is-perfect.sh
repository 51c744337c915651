#!/usr/bin/env bash
# fairlearn 0.15.0: the demographic parity of predictions that are names of classes, or probabilities, is perfect.
#
# demographic_parity_difference compares how often each group is given the positive class, which is the number 1. What a
# classifier predicts that learned from text is no number, and a probability hardly ever equals 1: no picture is counted, the
# rate is 0 in each group, and the difference is 0, the best that there is. equalized_odds_difference and
# equal_opportunity_difference refuse the same columns. 100 pictures of women, of whom 90 are taken to wear a mask, and
# 100 of men, of whom 20 are; seen here:
#   predictions                       demographic parity difference    equalized odds difference
#   1 and 0, or True and False                  .70                             .70
#   "mask" and "bare"                           .00                          an error
#   .9 and .1, the probabilities                .00                          an error
#   2 and 0, of three classes                   .00                          an error
# MetricFrame with selection_rate is alike. Compare first, predictions == "mask", or hand MetricFrame a function that calls
# selection_rate with pos_label="mask".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q fairlearn==0.15.0 scikit-learn==1.9.1 numpy==2.4.6 pandas==3.1.1
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    selection_rate,
)

warnings.simplefilter("error")
gender = np.repeat(["female", "male"], 100)
masked = np.r_[np.arange(100) < 90, np.arange(100) < 20]  # what is predicted
truth = np.arange(200) % 2 == 0


def scores(of):
    """Difference of the groups by demographic parity, by equalized odds and by equal opportunity; None where it is refused."""
    answers = []
    for metric in (demographic_parity_difference, equalized_odds_difference, equal_opportunity_difference):
        try:
            answers.append(round(float(metric(of(truth, True), of(masked, False), sensitive_features=gender)), 2))
        except ValueError:
            answers.append(None)
    return answers


numbers = scores(lambda column, _: column.astype(int))
booleans = scores(lambda column, _: column)
names = scores(lambda column, _: np.where(column, "mask", "bare"))
probabilities = scores(lambda column, is_truth: column.astype(int) if is_truth else np.where(column, 0.9, 0.1))
three = scores(lambda column, _: np.where(column, 2, 0))
print(numbers, booleans, names, probabilities, three)
assert numbers == booleans and numbers[0] == 0.7 and min(numbers[1:]) > 0.6
assert names == probabilities == three == [0.0, None, None]

columns = {"y_true": np.where(truth, "mask", "bare"), "y_pred": np.where(masked, "mask", "bare")}
rates = MetricFrame(metrics=selection_rate, **columns, sensitive_features=gender).by_group.to_dict()


def named(truth, predicted):
    return selection_rate(truth, predicted, pos_label="mask")


mended = MetricFrame(metrics=named, **columns, sensitive_features=gender).by_group.to_dict()
print(rates, mended)
assert rates == {"female": 0, "male": 0} and mended == {"female": 0.9, "male": 0.2}
PYTHON
