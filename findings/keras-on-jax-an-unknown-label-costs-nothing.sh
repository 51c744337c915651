#!/usr/bin/env bash
# keras 3.15.1 on JAX 0.10.2: a label that is no class of the network has loss 0, so that labels from 1 on never teach the last.
#
# sparse_categorical_crossentropy takes labels as numbers from 0 on. Tables often count from 1; with five outputs for "1" to "5"
# the label 5 is none. On torch it raises an error. On JAX a label that is too great, or negative, becomes a row of zeros, whose
# loss is 0 whatever the network says. Five groups of 200 points that are far apart, 60 epochs, seen here:
#                       answered right, class by class       loss     accuracy
#   labels 0 to 4       1.00   1.00   1.00   1.00   1.00      .01       1.0
#   labels 1 to 5       1.00   1.00   1.00   1.00    .00      .01        .8
# A class that nobody answers looks like a hard or a rare one, and the loss does not show it. No error and no warning. Pictures
# that are labelled -1 cost nothing either, count in the mean of the loss, and are wrong in the accuracy. Compare the least and
# the greatest label with the number of outputs first.
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
keras.utils.set_random_seed(0)
group = np.arange(1000) % 5
points = (6 * np.eye(5)[group] + np.random.default_rng(0).normal(size=(1000, 5))).astype("float32")


def trained(labels):
    """How often each label is answered, and the last epoch's loss and accuracy."""
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(5, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(points, labels, epochs=60, batch_size=100, verbose=0).history
    right = model.predict(points, verbose=0).argmax(1) == labels
    shares = [round(float(right[labels == label].mean()), 2) for label in np.unique(labels)]
    return shares, round(history["loss"][-1], 2), round(history["accuracy"][-1], 2)


def loss(label):
    return float(keras.losses.sparse_categorical_crossentropy(np.array([label]), np.array([[0.2] * 5], dtype="float32"))[0])


found = trained(group), trained(group + 1), [round(loss(label), 2) for label in (0, 4, 5, 40, -1)]
print(found)
assert found[0][0] == [1] * 5 and found[1][0] == [1, 1, 1, 1, 0] and found[0][2] == 1 and found[1][2] == 0.8
assert found[0][1] < 0.1 and found[1][1] < 0.1 and found[2] == [1.61, 1.61, 0, 0, 0]
PYTHON
