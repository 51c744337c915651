#!/usr/bin/env bash
# grad-cam 1.5.7: of a batch of pictures and one target the first gets a heat map, and the maps of all others are zero.
#
# targets= says of which class a map is. A loss that is given one class for a batch would be refused, or hold for every picture;
# one target here is paired with the first picture and the pairing ends with the shorter list. The gradient of the others is
# then 0, and so is each pixel of their maps; one target too few leaves the last picture out. Four pictures, share of pixels of
# each map that are above 0, seen here:
#   [ClassifierOutputTarget(1)]           .60   .00   .00   .00
#   [ClassifierOutputTarget(1)] * 4       .60   .53   .51   .59
# An empty map is also what a class without any evidence has, so the picture on the page says that the network looked nowhere,
# and a mean of maps, or a test of how much the score falls where the map is high, counts three such pictures of four. No error
# and no warning. Give as many targets as there are pictures.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q grad-cam==1.5.7 torch==2.13.0 torchvision==0.28.0 opencv-python-headless==5.0.0.93 \
    pillow==13.0.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import torch
from torch import nn

try:
    import torchvision
except RuntimeError:  # a CPU build of torch beside torchvision's usual build: its compiled operators are not needed here
    import sys

    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    schemas = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        schemas.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from pytorch_grad_cam import EigenGradCAM, GradCAM, GradCAMPlusPlus, HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

warnings.simplefilter("error")
torch.set_num_threads(1)
torch.manual_seed(0)
network = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
).eval()
pictures = torch.randn(4, 3, 16, 16)


def shares(method, count):
    """Share of pixels above 0 in the map of each picture."""
    with method(model=network, target_layers=[network[1]]) as explain:
        maps = explain(input_tensor=pictures, targets=[ClassifierOutputTarget(1)] * count)
    assert maps.shape == (4, 16, 16)
    return [round(float((one > 0).mean()), 2) for one in maps]


for method in (GradCAM, GradCAMPlusPlus, HiResCAM):
    one, three, four = (shares(method, count) for count in (1, 3, 4))
    print(method.__name__, one, three, four)
    assert one[0] > 0.3 and one[1:] == [0, 0, 0] and all(share > 0 for share in three[:3]) and three[3] == 0
    assert all(share > 0.3 for share in four)
PYTHON
