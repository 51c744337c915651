#!/usr/bin/env bash
# skl2onnx 1.20.0 and scikit-learn 1.9.1: the file of a linear SVM for several labels gives a label from a score of .5 on.
#
# OneVsRestClassifier with a LinearSVC is a usual head for several labels on the features of a network. It has scores and no
# probabilities, and a label is given where its score is above 0. The converted file compares with .5, as for probabilities.
# 1,000 pictures with three labels, seen here:
#                                             first label    second    third
#   labels that differ from scikit-learn's        .21          .12      .06     each of them given by scikit-learn, and lost
#   f1 by scikit-learn                            .83          .82      .77
#   f1 by the file                                .71          .72      .66
# The same of an SGDClassifier, whose scores are greater: .05, .03 and .02 are lost. The scores in the file are right, and so
# are its labels for LogisticRegression, which has probabilities, and for the same LinearSVC told of one label of three
# classes. No error and no warning. Compare the scores with 0.
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
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

warnings.simplefilter("error")
generator = np.random.default_rng(0)
features = generator.normal(size=(2000, 8)).astype(np.float32)
scores = features @ generator.normal(size=(8, 3)) + generator.normal(size=(2000, 3))
train, test = slice(1000), slice(1000, None)


def labels_of(classifier, labels):
    """Labels by scikit-learn and by the file, and the file's scores."""
    classifier.fit(features[train], labels[train])
    session = onnxruntime.InferenceSession(
        to_onnx(classifier, features[:1]).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    by_file, told = session.run(None, {"X": features[test]})
    return classifier.predict(features[test]), by_file, told


def shares(values):
    return [round(float(value), 2) for value in values]


several = (scores > [0, 1, 3]).astype(int)
for kind in (LinearSVC, SGDClassifier):
    classifier = OneVsRestClassifier(kind(random_state=0))
    right, by_file, told = labels_of(classifier, several)
    told = np.array([[row[label] for label in range(3)] for row in told])
    by_score = classifier.decision_function(features[test])
    assert np.allclose(told, by_score, atol=1e-3)
    assert ((told > 0) == right).mean() > 0.999 and ((by_score > 0.5) == by_file).mean() > 0.999
    lost = (by_file != right).mean(axis=0)
    found = [shares(f1_score(several[test], answer, average=None)) for answer in (right, by_file)]
    print(kind.__name__, shares(lost), *found)
    assert (by_file <= right).all() and (lost > 0.01).all()
    if kind is LinearSVC:
        assert (lost > [0.15, 0.08, 0.03]).all() and (np.subtract(*found) > 0.05).all()

right, by_file, _ = labels_of(OneVsRestClassifier(LogisticRegression()), several)
assert (right == by_file).mean() > 0.999
right, by_file, _ = labels_of(OneVsRestClassifier(LinearSVC(random_state=0)), scores.argmax(axis=1))
assert (right == by_file).mean() > 0.99
PYTHON
