#!/usr/bin/env bash
# torchvision 0.28.0: MixUp and CutMix mix the pictures, and of several heads' labels those of one.
#
# The transforms of v2 take a batch as a dict and find its labels by name: a key "labels", else the first that holds "label".
# There they stop. Of {"image": .., "label_mask": .., "label_age": ..} the pictures are mixed and label_mask becomes rows of
# shares, while label_age stays the whole numbers of pictures of which, with CutMix, .27 of the area is another's on average,
# seen here over 200 batches. Of a tuple of images and two labels likewise. cross_entropy takes both kinds, so that everything
# trains: the second head on labels that are wrong for what was pasted, and which head is the second depends on the order of
# the keys. {"labels": {"mask": .., "age": ..}} raises an error, these do not, and nothing warns. labels_getter may name one
# tensor, not two. Mix one number for each combination of labels, or mix by hand.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q torch==2.13.0 torchvision==0.28.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
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
import warnings

from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.transforms import v2

warnings.simplefilter("error")
heads = ("label_mask", "label_age")
labels = [{"label_mask": index % 2, "label_age": index % 3} for index in range(6)]


def batch(order):
    """A picture's values are all its number."""
    samples = [
        {"image": torch.full((3, 16, 16), float(index))} | {head: labels[index][head] for head in order}
        for index in range(6)
    ]
    return next(iter(DataLoader(samples, batch_size=6)))


for transform in (v2.MixUp(num_classes=3), v2.CutMix(num_classes=3)):
    for order in (heads, heads[::-1]):
        torch.manual_seed(0)
        mixed, plain, foreign = batch(order), batch(order), 0.0
        for _ in range(200):
            mixed = transform(batch(order))
            foreign += float((mixed["image"] != plain["image"]).float().mean()) / 200
        shapes = [tuple(mixed[head].shape) for head in order]
        print(type(transform).__name__, dict(zip(order, shapes, strict=True)), f"{foreign:.2f} of the area is changed")
        assert shapes == [(6, 3), (6,)] and torch.equal(mixed[order[1]], plain[order[1]])
        assert foreign > (0.9 if isinstance(transform, v2.MixUp) else 0.25)
        assert all(cross_entropy(torch.zeros(6, 3), mixed[head]) > 1 for head in order)  # both train
    images, first, second = transform(plain["image"], plain[heads[0]], plain[heads[1]])
    assert first.shape == (6, 3) and torch.equal(second, plain[heads[1]]) and not torch.equal(images, plain["image"])
try:
    transform({"image": plain["image"], "labels": {head: plain[head] for head in heads}})
except ValueError as error:
    print(error)
else:
    raise AssertionError("a dict of labels is taken now")
PYTHON
