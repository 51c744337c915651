#!/usr/bin/env bash
# grain 0.2.18: of a set that is shuffled, then cut into training and validation, the validation is trained on from epoch 2 on.
#
# shuffle() is reproducible by its seed and a slice is one of positions, so the two slices of a shuffled MapDataset share no
# picture, as any look at them shows. Whatever repeat() follows, though, tells each epoch's number to all shuffles before it,
# also to the one before the cut. In epoch 2 the first 800 positions hold another 800 pictures, of which a fifth are of the
# validation. Of 1,000 pictures, 800 to train on, seen here, of the 200 of the validation:
#   epochs                                                    1     2     5    20
#   cut from a shuffled set                                   0   152   200   200
#   the same, with another shuffle() behind the cut           0   152   200   200
#   cut from the set in its own order, shuffled afterwards    0     0     0     0
# A shuffle() of the training's own behind the slice, which one adds so that epochs differ, does not mend it. The score of the
# validation is one of pictures that were learned, and a test that the splits are disjoint passes. Permute the source itself
# before MapDataset.source, or repeat with reseed_each_epoch=False, which then gives each epoch in one order.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q grain==0.2.18 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import grain
import numpy as np

warnings.simplefilter("error")
EPOCHS = (1, 2, 5, 20)
shuffled = grain.MapDataset.source(range(1000)).seed(0).shuffle()
training, validation = shuffled[:800], shuffled[800:]
assert len(training) == 800 and not set(training) & set(validation)  # as a test of the split would ask
assert list(training) == list(training)


def leaked(training, validation, **options):
    """How many pictures of the validation were trained on after each number of epochs."""
    held_out = set(validation)
    return [len(held_out & set(training.repeat(epochs, **options))) for epochs in EPOCHS]


found, again = leaked(training, validation), leaked(training.shuffle(seed=1), validation)
frozen = leaked(training, validation, reseed_each_epoch=False)
source = grain.MapDataset.source(np.random.default_rng(0).permutation(1000).tolist()).seed(0)
mended = leaked(source[:800].shuffle(), source[800:])
batches = {int(n) for batch in training.repeat(5).batch(32) for n in batch}
print(EPOCHS, found, again, frozen, mended, len(batches))
for counts in (found, again):
    assert counts[0] == 0 and 120 < counts[1] < 180 and counts[2] > 195 and counts[3] == 200
assert frozen == mended == [0, 0, 0, 0]
assert len(batches) > 990
PYTHON
