#!/usr/bin/env bash
# monai 1.6.1: LoadImage hands out a PNG or JPEG with rows and columns exchanged.
#
# MONAI comes from volumes, whose first axis is x, and reads pictures in that way too: the array is (channels, width, height).
# torchvision, timm, Keras and OpenCV have the height first. A wide picture tells by its shape; square ones, and all of them
# after a Resize to a square, do not. A picture of 4 by 4 with a red point at the top right and a green one at the bottom left,
# row and column of each, seen here:
#                  red      green
#   torchvision    0, 3     3, 0
#   monai          3, 0     0, 3
# So faces lie on their side, and mirrored: weights pretrained upright are fine-tuned and explained on those, a network trained
# elsewhere is scored on them, and RandFlip(spatial_axis=0), the axis that is vertical elsewhere, flips left and right. No error
# and no warning. LoadImage(reader="PILReader", reverse_indexing=False) reads them upright.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q monai==1.6.1 torch==2.13.0 torchvision==0.28.0 pillow==13.0.0 numpy==2.4.6
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
import numpy as np
from monai.transforms import Flip, LoadImage, Resize
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

pixels = np.zeros((4, 4, 3), dtype=np.uint8)
pixels[0, 3, 0] = pixels[3, 0, 1] = 255
Image.fromarray(pixels).save("square.png")
Image.fromarray(np.zeros((4, 9, 3), dtype=np.uint8)).save("wide.png")


def places(picture):
    """Row and column of the red point, and of the green one."""
    return [[int(number) for number in np.argwhere(np.asarray(picture[channel]) > 200)[0]] for channel in (0, 1)]


with warnings.catch_warnings():
    warnings.simplefilter("error")
    load = LoadImage(ensure_channel_first=True)
    upright = LoadImage(reader="PILReader", reverse_indexing=False, ensure_channel_first=True)
    found = {
        "torchvision": places(pil_to_tensor(Image.open("square.png"))),
        "monai": places(load("square.png")),
        "upright": places(upright("square.png")),
        "flipped": places(Flip(spatial_axis=0)(load("square.png"))),
    }
    shapes = tuple(load("wide.png").shape), tuple(Resize((4, 4))(load("wide.png")).shape)
print(found, shapes)
assert found["torchvision"] == found["upright"] == [[0, 3], [3, 0]] and found["monai"] == [[3, 0], [0, 3]]
assert found["flipped"] == [[0, 0], [3, 3]] and shapes == ((3, 9, 4), (3, 4, 4))
PYTHON
