#!/usr/bin/env bash
# confidenceinterval 1.0.5: the 95 % interval of a macro-F1 holds the truth in six test sets of ten, or is twice too wide.
#
# The package gives scikit-learn's scores with an interval beside each. The score is right; the analytic interval of
# f1_score(..., average="macro"), the default method, is not one of it. Test sets drawn again and again from one source, seen
# here over 200 of them:
#                                              interval holds the truth    half its width    where 95 % of the scores lie
#   18 classes, the rarest ones few (2,000)              .60                   .011                  .031
#   3 classes alike (1,000 pictures)                    1.00                   .039                  .019
#   3 classes alike, average="micro"                     .98                   .021                  .019
# With classes of unequal size, which is what one takes macro-F1 for, two networks that are alike have intervals that do not
# touch; with equal ones a real gain looks like noise. No warning. method="bootstrap_percentile" draws the pictures again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q confidenceinterval==1.0.5 scikit-learn==1.9.1 scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import confidenceinterval
import numpy as np
from sklearn.metrics import f1_score

warnings.simplefilter("error")


def coverage(shares, number, average):
    """How often the interval holds the truth, half its mean width, and half the width that the scores really have."""
    rng = np.random.default_rng(0)
    shares = np.asarray(shares) / np.sum(shares)

    def draw(number):
        truth = rng.choice(len(shares), number, p=shares)
        return truth, np.where(rng.random(number) < 0.8, truth, rng.choice(len(shares), number, p=shares))

    true = f1_score(*draw(400_000), average=average)
    found = []
    for _ in range(200):
        truth, answer = draw(number)
        score, (low, high) = confidenceinterval.f1_score(truth, answer, average=average)
        assert abs(score - f1_score(truth, answer, average=average)) < 1e-6
        found.append((score, low <= true <= high, (high - low) / 2))
    scores, holds, halves = np.array(found).T
    print(f"{average}, {len(shares)} classes: {holds.mean():.2f} {halves.mean():.3f} {1.96 * scores.std():.3f}")
    return holds.mean(), halves.mean() / (1.96 * scores.std())


unequal = coverage(1 / np.arange(1, 19) ** 1.5, 2000, "macro")
alike = coverage(np.ones(3), 1000, "macro")
micro = coverage(np.ones(3), 1000, "micro")
assert unequal[0] < 0.75 and unequal[1] < 0.6
assert alike[0] > 0.99 and alike[1] > 1.8
assert micro[0] > 0.9 and 0.85 < micro[1] < 1.15
PYTHON
