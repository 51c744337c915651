#!/usr/bin/env bash
# optax 0.2.8: softmax_cross_entropy_with_integer_labels takes the label -1 for the last class.
#
# -1 is the usual number of "nobody has labelled this", in a pool for active learning, in scikit-learn's semi-supervised part and
# in sets of several tasks of which most pictures lack a label. torch's cross_entropy refuses it, and jax.nn.one_hot makes it a
# row of zeros, whose loss is 0. Here -1 counts from the end, as an index of numpy does. A linear classifier of three classes,
# 900 pictures with 300 of each, nine in ten of them labelled -1, seen here:
#                                                          answered right    answered as the last class
#   -1 left out of the mean                                     .96                  .32
#   softmax_cross_entropy_with_integer_labels                   .33                 1.00
#   one_hot and softmax_cross_entropy                           .93                  .28
# The loss falls all the while. A label that is too great gives NaN, so that labels which begin at 1 are found out at once, and
# -1 is not. No error and no warning. Multiply the losses by labels >= 0, and divide their sum by how many those are.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q optax==0.2.8 jax==0.10.2 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax

warnings.simplefilter("error")
rng = np.random.default_rng(0)
truth = np.arange(900) % 3
points = jnp.array(np.column_stack([rng.normal(size=(900, 2)) + 4 * np.eye(3)[truth, :2], np.ones(900)]))
labels = jnp.array(np.where(np.arange(900) < 810, -1, truth))


def trained(loss):
    """The share of pictures that are answered right, and that are said to be of the last class."""
    slope = jax.jit(jax.grad(lambda weights: loss(points @ weights)))
    weights = jnp.zeros((3, 3))
    for _ in range(300):
        weights = weights - 0.5 * slope(weights)
    answers = np.asarray((points @ weights).argmax(1))
    return round(float((answers == truth).mean()), 2), round(float((answers == 2).mean()), 2)


def numbers(logits):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def known(logits):
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return (losses * (labels >= 0)).sum() / (labels >= 0).sum()


def rows(logits):
    return optax.softmax_cross_entropy(logits, jax.nn.one_hot(labels, 3)).mean()


found = {loss.__name__: trained(loss) for loss in (known, numbers, rows)}
loss = optax.softmax_cross_entropy_with_integer_labels(jnp.array([[0.0, 0.0, 3.0]] * 3), jnp.array([2, -1, 3]))
print(found, loss)
assert found["known"][0] > 0.9 and found["rows"][0] > 0.9 and found["numbers"][0] < 0.35 and found["numbers"][1] == 1
assert loss[0] == loss[1] < 0.1 and bool(jnp.isnan(loss[2]))
PYTHON
