#!/usr/bin/env bash
# kornia 0.9.0 and torchvision 0.28.0: augmentations that are layers of a network go on augmenting after eval().
#
# Both make augmentations as nn.Module, so that they may be the first layers of nn.Sequential, on the GPU, batch by batch.
# Dropout is such a layer, and rests outside training. These do not look at the mode: in validation, and in the network that is
# served, they flip, crop and erase at random. Forty answers to one picture after eval(), how
# many different ones, seen here:
#   Dropout                                                       1
#   kornia's RandomHorizontalFlip, and AugmentationSequential     2
#   torchvision's v2.RandomHorizontalFlip                         2
# One score is a little low and never the same twice, and best epochs are picked by luck. No error and no warning. Keep them
# outside the network, or call them only if self.training.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q kornia==0.9.0 torch==2.13.0 torchvision==0.28.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import torch

try:
    import torchvision
except RuntimeError:  # a CPU build of torch beside torchvision's usual build: its compiled operators are not needed here
    import sys

    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    schemas = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        schemas.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import kornia.augmentation as K
from torch import nn
from torchvision.transforms import v2

picture = torch.rand(1, 3, 8, 8)


def answers(layer):
    """How many different answers a network in eval mode gives to one picture in 40 calls."""
    torch.manual_seed(0)
    network = nn.Sequential(layer, nn.Flatten(), nn.Linear(192, 2)).eval()
    assert not any(module.training for module in network.modules())
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("error")
        return len({tuple(network(picture)[0].tolist()) for _ in range(40)})


found = {
    "dropout": answers(nn.Dropout()),
    "kornia": answers(K.RandomHorizontalFlip(p=0.5)),
    "kornia's sequence": answers(K.AugmentationSequential(K.RandomHorizontalFlip(p=0.5), data_keys=["input"])),
    "torchvision": answers(v2.RandomHorizontalFlip(p=0.5)),
}
print(found)
assert list(found.values()) == [1, 2, 2, 2]
PYTHON
