#!/usr/bin/env bash
# scikit-image 0.26.0 and torchvision 0.28.0: a picture that is held in int64 is black once it is resized or scaled.
#
# Pictures that come from CSV, JSON, a list or a sum are int64, numpy's and torch's own type for whole numbers, with values of
# 0 to 255. Where a library turns whole numbers into fractions it divides by the greatest number of the type: 255 for bytes,
# 2**63 for these. resize, rescale, rotate and rgb2gray of scikit-image do so on the way, ToDtype(scale=True) of torchvision's
# v2 when asked; its older ToTensor divides bytes alone, and hands out 200. What a grey of 200 becomes, seen here:
#                                             uint8      int64
#   skimage.transform.resize                   .784     2.2e-17
#   v2.ToImage, v2.ToDtype(float32, scale)     .784     2.2e-17
#   ToTensor                                   .784     200
# After a normalisation by fixed statistics every picture is the same grey, and two pictures that differ give equal numbers. Of
# int32, as a Pillow picture of mode "I" is read, it is 9.3e-8. No error and no warning. Convert with astype("uint8") first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q scikit-image==0.26.0 torch==2.13.0 torchvision==0.28.0 pillow==13.0.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import numpy as np
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
from skimage.color import rgb2gray
from skimage.transform import rescale, resize, rotate
from torchvision.transforms import ToTensor, v2

warnings.simplefilter("error")
scaled = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
normalised = v2.Compose([scaled, v2.Normalize([0.485] * 3, [0.229] * 3)])
ways = {
    "resize": lambda picture: resize(picture, (8, 8)),
    "rescale": lambda picture: rescale(picture, 0.5, channel_axis=2),
    "rotate": lambda picture: rotate(picture, 90),
    "rgb2gray": rgb2gray,
    "ToDtype": scaled,
}
grey = np.full((16, 16, 3), 200)
assert grey.dtype == np.int64
for name, way in ways.items():
    small, whole, half = (float(way(grey.astype(kind)).max()) for kind in (np.uint8, np.int64, np.int32))
    print(name, small, whole, half)
    assert abs(small - 200 / 255) < 1e-3 and abs(whole * 2**63 - 200) < 1 and abs(half * 2**31 - 200) < 1
assert abs(float(ToTensor()(grey.astype(np.uint8)).max()) - 200 / 255) < 1e-6 and float(ToTensor()(grey).max()) == 200
other = np.random.default_rng(0).integers(0, 256, (16, 16, 3))
assert torch.equal(normalised(grey), normalised(other))
assert not torch.allclose(normalised(grey.astype(np.uint8)), normalised(other.astype(np.uint8)))
PYTHON
