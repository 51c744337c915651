#!/usr/bin/env bash
# scikit-learn 1.9.1: GroupKFold(shuffle=True) makes folds of equally many groups, whose pictures may be twice as many.
#
# GroupKFold keeps the pictures of one person together, and gives each next person, the one with most pictures first, to the
# fold that has fewest so far. Its docstring says that folds hold about the same number of samples when shuffle is True; it is
# the other way round. With a shuffle the persons are dealt out by count, and how many pictures each has is not looked at. Of
# 300 persons, 290 with 2 pictures and 10 with 40, five folds, pictures in each test fold seen here:
#   shuffle=False                     196  196  196  196  196
#   shuffle=True, random_state=0      234  158  196  272  120
# Over 100 seeds the largest fold has 1.9 times the pictures of the smallest on average. The mean of the folds' scores then
# weighs a picture of one fold up to twice as much as one of another, and their spread is mostly one of size. No warning.
# StratifiedGroupKFold(shuffle=True) counts pictures: at most 1.22 times over the same seeds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q scikit-learn==1.9.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

warnings.simplefilter("error")
persons = np.repeat(np.arange(300), [2] * 290 + [40] * 10)
labels = np.random.default_rng(0).integers(0, 2, len(persons))


def sizes(splitter):
    return [len(test) for _, test in splitter.split(labels, labels, persons)]


def ratio(kind):
    found = [sizes(kind(5, shuffle=True, random_state=seed)) for seed in range(100)]
    return [max(each) / min(each) for each in found]


plain, shuffled = sizes(GroupKFold(5)), sizes(GroupKFold(5, shuffle=True, random_state=0))
print(plain, shuffled, f"{np.mean(ratio(GroupKFold)):.2f} {max(ratio(StratifiedGroupKFold)):.2f}")
assert "same in each test fold when `shuffle` is True" in GroupKFold.__doc__
assert max(plain) == min(plain) and max(shuffled) > 2 * min(shuffled)
assert np.mean(ratio(GroupKFold)) > 1.8 and max(ratio(StratifiedGroupKFold)) < 1.3
PYTHON
