#!/usr/bin/env bash
# iterative-stratification 0.1.9: MultilabelStratifiedKFold gives other folds at each call, though shuffle is False.
#
# It is the usual way to split pictures with several labels, and it is made to stand where sklearn's StratifiedKFold stands,
# whose folds without a shuffle are a function of the labels. Here ties between folds, of which there are many, are broken by
# numpy's global random numbers. Training takes fold 0, the evaluation in another process or after a resume asks for fold 0
# again, and gets other pictures, most of which were trained on. Of 200 pictures with four labels, five folds, the share of a
# second call's test pictures that the first call had for training, seen here: .8, as of any random split; sklearn's 0.
# Its docstring owns under random_state that ties are broken at random in any case; but a random_state is refused as long as
# nothing is shuffled. shuffle=True with a random_state gives the same folds each time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q iterative-stratification==0.1.9 scikit-learn==1.9.1 numpy==2.4.6
cat >folds.py <<'PYTHON'
import json
import warnings

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import StratifiedKFold

warnings.simplefilter("error")
labels = np.random.default_rng(0).integers(0, 2, (200, 4))
makers = {
    "plain": (MultilabelStratifiedKFold(n_splits=5), labels),
    "shuffled": (MultilabelStratifiedKFold(n_splits=5, shuffle=True, random_state=0), labels),
    "sklearn": (StratifiedKFold(n_splits=5), labels[:, 0]),
}
print(json.dumps({name: [test.tolist() for _, test in maker.split(y, y)] for name, (maker, y) in makers.items()}))
try:
    MultilabelStratifiedKFold(n_splits=5, random_state=0)
except ValueError:
    pass
else:
    raise AssertionError("a random_state is taken without a shuffle")
PYTHON
environment/bin/python folds.py >first.json
environment/bin/python folds.py >second.json
environment/bin/python - <<'PYTHON'
import json

with open("first.json") as first, open("second.json") as second:
    first, second = json.load(first), json.load(second)
trained_on = {}
for name in first:
    assert sorted(sum(first[name], [])) == sorted(sum(second[name], [])) == list(range(200))
    test = second[name][0]
    trained_on[name] = round(len(set(test) - set(first[name][0])) / len(test), 2)
print(trained_on)
assert trained_on["plain"] > 0.5 and trained_on["shuffled"] == trained_on["sklearn"] == 0
PYTHON
