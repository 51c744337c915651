#!/usr/bin/env bash
# keras 3.15.1: image_dataset_from_directory splits the list as it was shuffled, so a validation without shuffle is trained on.
#
# The documented way to split one folder is two calls with the same validation_split, subset="training" and "validation".
# Training wants a shuffle; validation is given shuffle=False, since a shuffled set comes in another order at each pass and its
# labels cannot be laid beside the predictions. But shuffle also says whether the files are shuffled before they are cut: the
# validation is then the end of the sorted list, and the training set a random choice out of all. Five classes of 20 pictures,
# validation_split=.2, seen here:
#                               validation pictures that are trained on    classes in the validation
#   both shuffled, one seed               0 of 20                                   5
#   validation unshuffled                17 of 20                                   1 (the last one)
#   neither is shuffled                   0 of 20                                   1, which is not trained on at all
# The counts that it prints, 80 and 20, are the expected ones. A shuffle without a seed is refused for this very reason.
# subset="both" returns sets that are apart.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q keras==3.15.1 grain==0.2.18 torch==2.13.0 pillow==13.0.0 numpy==2.4.6
export KERAS_BACKEND=torch KERAS_HOME="$folder/home"
environment/bin/python - <<'PYTHON'
import warnings
from pathlib import Path

import keras
import numpy as np
from PIL import Image

warnings.simplefilter("error", UserWarning)
for number in range(5):
    Path(f"pictures/{number}").mkdir(parents=True)
    for index in range(20):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(f"pictures/{number}/{index:02}.png")


def read(subset, **settings):
    """The pictures of a subset, each as its class and its shade, which tell it from all others."""
    batches = keras.utils.image_dataset_from_directory(
        "pictures", validation_split=0.2, subset=subset, image_size=(8, 8), batch_size=10, format="grain", **settings
    )
    sets = []
    for part in batches if subset == "both" else [batches]:
        pairs = [pair for images, labels in part for pair in zip(np.asarray(images), np.asarray(labels), strict=True)]
        sets.append({(int(kind), round(float(image[0, 0, 0]))) for image, kind in pairs})
    return sets if subset == "both" else sets[0]


def told(training, validation):
    assert len(training) == 80 and len(validation) == 20
    return len(training & validation), len({kind for kind, _ in validation})


found = {
    "shuffled": told(read("training", seed=2), read("validation", seed=2)),
    "validation unshuffled": told(read("training", seed=2), read("validation", shuffle=False)),
    "neither": told(read("training", shuffle=False), read("validation", shuffle=False)),
    "both": told(*read("both", seed=2)),
}
print(found)
assert found["shuffled"] == found["both"] == (0, 5)
assert found["validation unshuffled"][0] > 10 and found["validation unshuffled"][1] == 1
assert found["neither"] == (0, 1)
try:
    read("training")
except ValueError as error:
    print(error)
else:
    raise AssertionError("a shuffle without a seed is taken now")
PYTHON
