#!/usr/bin/env bash
# skl2onnx 1.20.0 and scikit-learn 1.9.1: the file of a classifier with a tuned threshold decides at .5.
#
# TunedThresholdClassifierCV chooses the probability from which on a picture counts as the rare class, for the score that one
# asks for. skl2onnx has a converter for it and writes the classifier inside, whose threshold is .5; for its sibling
# FixedThresholdClassifier it says that there is no converter. 1,000 pictures, 73 of them rare, seen here:
#                              threshold    taken for rare    rare ones found
#   scikit-learn                 .10              88                .63
#   the file                     .5               29                .38
# That is the untuned classifier, label by label. The probabilities are right, which is what a test of the file compares, and
# there is no error and no warning. With classes as text it is the same. Compare the file's probabilities with best_threshold_.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV

warnings.simplefilter("error")
features, rare = make_classification(
    2000, 16, n_informative=6, weights=[0.95], flip_y=0.02, class_sep=1.0, random_state=0
)
features, test = features.astype(np.float32), slice(1000, None)
for names in (np.array([0, 1]), np.array(["usual", "zebra"])):
    labels = names[rare]
    tuned = TunedThresholdClassifierCV(LogisticRegression(), scoring="balanced_accuracy")
    tuned.fit(features[:1000], labels[:1000])
    file = to_onnx(tuned, features[:1], options={"zipmap": False}).SerializeToString()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    by_file, probabilities = session.run(None, {"X": features[test]})
    assert np.allclose(probabilities, tuned.predict_proba(features[test]), atol=1e-4)
    by_sklearn, untuned = tuned.predict(features[test]), tuned.estimator_.predict(features[test])
    assert (by_file == untuned).all()
    found = [
        (int((answer == names[1]).sum()), round(float((answer == names[1])[rare[test] == 1].mean()), 2))
        for answer in (by_sklearn, by_file)
    ]
    by_hand = names[(probabilities[:, 1] >= tuned.best_threshold_) * 1]
    print(round(float(tuned.best_threshold_), 2), int(rare[test].sum()), found)
    assert (by_hand == by_sklearn).mean() > 0.99 and tuned.best_threshold_ < 0.2
    assert found[0][0] > 2 * found[1][0] and found[0][1] > found[1][1] + 0.15
PYTHON
