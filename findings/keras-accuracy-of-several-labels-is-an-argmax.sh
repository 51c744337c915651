#!/usr/bin/env bash
# keras 3.15.1: "accuracy" of a network with several sigmoid labels compares the first greatest label with the surest one.
#
# compile(loss="binary_crossentropy", metrics=["accuracy"]) is what one writes for pictures that have several labels at once.
# Which accuracy that is, is not settled by the loss but by the shape of the targets: rows of more than one column are taken for
# one-hot rows, and the accuracy is that of the argmax. Of labels like 1 0 1 0 the argmax is the first 1, of a picture without
# labels the first label, and no other is looked at. 400 pictures, four labels that .9, .3, .3 and .3 of them have, seen here:
#                                              "accuracy"    "binary_accuracy"
#   the commonest label for every picture         .94              .76
#   each label right, none quite as sure          .62             1.00
# So the checkpoint that is kept and the search that is steered by it prefer a network that says the commonest label to one that
# is right throughout. No error and no warning; of a single label it is the expected share. Name "binary_accuracy".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q keras==3.15.1 jax==0.10.2 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import os
import warnings

os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np

warnings.simplefilter("error")
warnings.simplefilter("ignore", DeprecationWarning)  # of numpy, about what keras calls
rng = np.random.default_rng(0)
labels = (rng.random((400, 4)) < [0.9, 0.3, 0.3, 0.3]).astype("float32")
common = np.tile(np.array([[0.9, 0.2, 0.2, 0.2]], dtype="float32"), (400, 1))
right = (0.1 + 0.8 * labels + rng.normal(0, 0.02, labels.shape)).clip(0.01, 0.99).astype("float32")
assert ((right > 0.5) == labels).all()


def scores(probabilities, labels):
    """What keras says of a network that answers these probabilities."""
    inputs = keras.Input(probabilities.shape[1:])
    model = keras.Model(inputs, keras.layers.Identity()(inputs))
    model.compile(loss="binary_crossentropy", metrics=["accuracy", "binary_accuracy"])
    found = model.evaluate(probabilities, labels, verbose=0, return_dict=True)
    return [round(float(found[name]), 2) for name in ("accuracy", "binary_accuracy")]


found = {"common": scores(common, labels), "right": scores(right, labels), "one label": scores(right[:, :1], labels[:, :1])}
print(found)
assert found["common"][0] > 0.9 and found["common"][1] < 0.8
assert found["right"][0] < 0.7 and found["right"][1] == 1 and found["one label"] == [1, 1]
PYTHON
