#!/usr/bin/env bash
# imbalanced-learn 0.14.2: SMOTE makes noise of pictures whose values are bytes.
#
# A new sample is a point between a sample and one of its neighbours: the one, plus a share of the difference. The difference is
# taken in the type of the data, and that of bytes, which is how pictures are read, cannot be negative: 100 - 110 is 246. So half
# of the values go to the wrong side, up to 246 levels off, and the sums wrap around as well. Flat pictures of a rare class, with
# values from 100 to 155, and 30 new ones of them, seen here:
#                          lowest and highest value    outside 100 to 155
#   bytes                        0 and 255                  .40 of the values
#   the same as float32        100 and 155                  .00
# ADASYN and BorderlineSMOTE do the same. The shape, the type, the counts of the classes and the labels are right, and there is
# no warning; a network then learns that the rare class is the noisy one. Convert to float32 first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q imbalanced-learn==0.14.2 scikit-learn==1.9.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE

warnings.simplefilter("error")
pictures = np.random.default_rng(0).integers(100, 156, (60, 64)).astype(np.uint8)  # 8 x 8, flattened
labels = np.array([0] * 45 + [1] * 15)


def made(method, kind):
    """Lowest and highest value of the new pictures, and the share of values that lies outside those of the old ones."""
    enlarged, classes = method(random_state=0).fit_resample(pictures.astype(kind), labels)
    new = enlarged[60:]
    assert enlarged.dtype == kind and np.bincount(classes)[1] > 38 and (enlarged[:60] == pictures).all()
    return round(float(new.min())), round(float(new.max())), round(float(((new < 100) | (new > 155)).mean()), 2)


for method in (SMOTE, ADASYN, BorderlineSMOTE):
    whole, real = made(method, np.uint8), made(method, np.float32)
    print(method.__name__, whole, real)
    assert whole[:2] == (0, 255) and whole[2] > 0.2
    assert 100 <= real[0] and real[1] <= 155 and real[2] == 0
PYTHON
