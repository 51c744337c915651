#!/usr/bin/env bash
# torchvision 0.28.0: of several pictures in a sample the transforms of v2 change one, and hand the others on as they came.
#
# Transforms of v2 take any dict or tuple and flip, crop and normalise all pictures in it alike, so that a second view or a
# reference picture stays beside the first. That holds for pictures of PIL and for tv_tensors. Of plain tensors, which is what
# decode_image, numpy and HDF5 lead to, the first one is the picture, and all others are taken for labels; beside a picture of
# PIL or a tv_tensor, every one is. A flip and Normalize([.5] * 3, [.5] * 3), which pictures are changed, seen here:
#                                  "face"     "body"
#   two tv_tensors.Image             yes        yes
#   two plain tensors                yes        no
#   a tv_tensor and a tensor         yes        no
# So the second branch of a network learns from pictures that are not normalised and not augmented, and of pairs that belong
# together one is flipped. No error and no warning, as the shapes agree. Wrap each in tv_tensors.Image.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torch==2.13.0 torchvision==0.28.0 numpy==2.4.6
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
from torchvision.transforms import v2
from torchvision.tv_tensors import Image

transform = v2.Compose([v2.RandomHorizontalFlip(p=1.0), v2.Normalize([0.5] * 3, [0.5] * 3)])
face, body = torch.rand(2, 3, 8, 8)
wanted = [(picture.flip(-1) - 0.5) / 0.5 for picture in (face, body)]


def changed(first, second):
    """Which of two pictures are flipped and normalised; the others are as they were."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        several = [list(transform({"face": first, "body": second}).values()), transform((first, second))]
    answers = [[bool(torch.allclose(got, want)) for got, want in zip(pair, wanted)] for pair in several]
    for pair, answer in zip(several, answers):
        assert all(done or torch.equal(got, was) for done, got, was in zip(answer, pair, (face, body)))
    assert answers[0] == answers[1]
    return answers[0]


found = [changed(Image(face), Image(body)), changed(face, body), changed(Image(face), body), changed(face, Image(body))]
print(found)
assert found == [[True, True], [True, False], [True, False], [False, True]]
PYTHON
