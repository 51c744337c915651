#!/usr/bin/env bash
# keras 3.15.1: of a network whose heads are a dict, lists of losses, weights and metrics go to the heads by the alphabet.
#
# keras.Model(pixels, {"mask": .., "age": ..}) takes its targets as a dict of the same keys. compile takes a list as well, for
# losses, loss_weights and metrics, one for each head: the first of the list is that of the first name in the alphabet,
# whatever order the dict of heads or that of the targets was written in. Heads "mask" and "age" that answer 0 where 3 is right,
# loss=["mse", "mae"], seen here:
#   in either order of the dict           age: 9 (the squared error)      mask: 3 (the absolute one)
#   the same heads as a list              mask: 9                         age: 3
# So a head learns by the other's loss, or loss_weights=[1, 0] trains the head that was to rest, with no error and no warning:
# what fits one head's numbers mostly fits the other's. Only the lines of the history tell. Name the heads there too.
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
pixels, three = np.ones((8, 4), dtype="float32"), np.full((8, 1), 3.0, dtype="float32")


def history(order, heads, losses, weights):
    """The losses of one step of a network whose heads answer 0."""
    inputs = keras.Input((4,))
    outputs = {name: keras.layers.Dense(1, name=name, kernel_initializer="zeros", use_bias=False)(inputs) for name in order}
    model = keras.Model(inputs, outputs if heads is dict else list(outputs.values()))
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=losses, loss_weights=weights)
    targets = {name: three for name in order} if heads is dict else [three for _ in order]
    found = {name: values[0] for name, values in model.fit(pixels, targets, batch_size=8, verbose=0).history.items()}
    trained = {name: bool(np.any(model.get_layer(name).get_weights()[0])) for name in order}
    return {name: round(found[f"{name}_loss"], 3) for name in order}, trained


for order in (["mask", "age"], ["age", "mask"]):
    first, second = order
    losses, trained = history(order, dict, ["mse", "mae"], [1.0, 0.0])
    print("dict", order, losses, trained)
    assert losses == {"age": 9, "mask": 3} and trained == {"age": True, "mask": False}
    losses, trained = history(order, list, ["mse", "mae"], [1.0, 0.0])
    print("list", order, losses, trained)
    assert losses == {first: 9, second: 3} and trained == {first: True, second: False}
losses, trained = history(["mask", "age"], dict, {"mask": "mse", "age": "mae"}, {"mask": 1.0, "age": 0.0})
assert losses == {"mask": 9, "age": 3} and trained == {"mask": True, "age": False}
PYTHON
