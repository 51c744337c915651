#!/usr/bin/env bash
# LightGBM 4.7.0: a classifier that learned from named columns predicts on the same columns in another order, by place.
#
# The probabilities of several heads, or features beside them, are often joined by a tree model, each in a column of a frame. A
# frame that is read or merged at serving time may have them in another order. scikit-learn's own classifiers refuse it, as
# does XGBoost's (3.2.0), and CatBoost's (1.2.10) moves the columns. LightGBM's knows their names too (feature_names_in_), and
# warns of a plain array that has none; names that are there it does not compare, and takes the columns as they come. Accuracy
# on the frame that it learned, "mask" and "age", and on the same rows as "age" and "mask", seen here:
#   as learned 1.00         the other way round .60, by LGBMClassifier and by its Booster
# No error and no warning. predict(..., validate_features=True) raises; it is off unless it is asked for.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q lightgbm==4.7.0 scikit-learn==1.9.1 pandas==3.1.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import lightgbm
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

warnings.simplefilter("error")
rng = np.random.default_rng(0)
frame = pd.DataFrame({"mask": rng.random(600), "age": rng.random(600)})
labels = (frame["mask"] + 0.2 * frame["age"] > 0.6).astype(int)
other = frame[["age", "mask"]]
model = lightgbm.LGBMClassifier(n_estimators=30, verbose=-1, n_jobs=1).fit(frame, labels)
assert list(model.feature_names_in_) == list(frame.columns)
scores = [round(float((model.predict(each) == labels).mean()), 2) for each in (frame, other)]
scores.append(round(float(((model.booster_.predict(other) > 0.5) == labels).mean()), 2))
print(scores)
assert scores[0] > 0.98 and max(scores[1:]) < 0.7


def refuses(predict, *mistakes, **settings):
    try:
        predict(other, **settings)
    except mistakes as error:
        print(type(error).__name__, str(error).splitlines()[0])
        return True
    return False


assert refuses(model.predict, lightgbm.basic.LightGBMError, validate_features=True)
assert refuses(LogisticRegression().fit(frame, labels).predict, ValueError)
try:
    model.predict(frame.to_numpy())
except UserWarning as warning:
    print(warning)
else:
    raise AssertionError("names that are missing are no longer warned of")
PYTHON
