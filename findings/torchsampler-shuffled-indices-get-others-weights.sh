#!/usr/bin/env bash
# torchsampler 0.1.2: with indices= that are not in ascending order the rare class is not drawn more often, but at random.
#
# ImbalancedDatasetSampler draws each class as often as any other. indices= confines it to a part, the training part of a split,
# whose labels are given beside it in the same order. The weights are made from the labels sorted by index, and the draw takes
# the place among the indices as they were given: where those are shuffled, as train_test_split, random_split and a permutation
# hand them out, each picture has the weight of another one. 800 of 1,000 pictures, of which .10 are rare, seen here:
#   indices in ascending order                .51 of what is drawn is rare
#   the same indices as they were shuffled    .11
# Beyond that, pictures with the weight of a rare one come nine times as often as others, whatever they show: the balance is
# that of no sampler, with fewer different pictures in an epoch. No error and no warning. Sort the indices, and their labels
# with them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torchsampler==0.1.2 torch==2.13.0 torchvision==0.28.0 pandas==3.1.1 scikit-learn==1.9.1 \
    setuptools==84.2.1 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
import torch
from sklearn.model_selection import train_test_split

try:
    import torchvision
except RuntimeError:  # a CPU build of torch beside torchvision's usual build: its compiled operators are not needed here
    import sys

    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    schemas = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        schemas.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torchsampler import ImbalancedDatasetSampler

warnings.simplefilter("error")
torch.manual_seed(0)
labels = np.repeat([0, 1], [900, 100])
shuffled, _ = train_test_split(np.arange(1000), train_size=800, stratify=labels, random_state=0)


def drawn(indices):
    """Share of rare pictures among 20,000 that are drawn."""
    sampler = ImbalancedDatasetSampler(
        labels, labels=labels[indices].tolist(), indices=indices.tolist(), num_samples=20000
    )
    found = list(sampler)
    assert set(found) <= set(indices)
    return round(float(labels[found].mean()), 2)


ascending, given = drawn(np.sort(shuffled)), drawn(shuffled)
print(ascending, given, labels[shuffled].mean())
assert abs(ascending - 0.5) < 0.03 and given < 0.2
PYTHON
