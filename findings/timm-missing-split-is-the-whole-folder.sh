#!/usr/bin/env bash
# timm 1.0.31: of a folder that has no such split, create_dataset hands out everything below it, the training pictures too.
#
# The training script asks for the split "validation" and is handed val, valid, eval or evaluation as well. Where none of these is
# there (a set that has train and test, or train and dev), or where a split's name is mistyped, the root itself is read: a class
# is the name of the innermost folder, so the classes and their numbers are as they should be, and the validation set holds all
# splits. Of 6 pictures in train and 2 in the other folder, seen here:
#   {train,val}/{bus,car}     "validation": 2 pictures, none of them in train
#   {train,test}/{bus,car}    "validation": 8 pictures, 6 of them in train       "test": 2       "tset": 8
# No error and no warning: the epoch is picked, and the score reported, mostly on what was trained on. Asking for "train" of a
# set whose folder is called training_set trains on the test in the same way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q "torch==2.13.0" "torchvision==0.28.0" "timm==1.0.31" "numpy==2.4.6"
environment/bin/python - <<'PYTHON'
import warnings
from pathlib import Path

import torch
from PIL import Image

try:
    import torchvision
except RuntimeError:  # a CPU build of torch beside torchvision's usual build: its compiled operators are not needed here
    import sys

    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    schemas = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        schemas.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from timm.data import create_dataset

CLASSES = {"bus": 0, "car": 1}


def folders(root, **splits):
    for split, num in splits.items():
        for name in CLASSES:
            for number in range(num // 2):
                path = Path(root, split, name, f"{split}{number}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 8)).save(path)


def read(root, split):
    """How many pictures a split has, and how many of them lie in the training folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = create_dataset("", root, split=split)
    assert dataset.reader.class_to_idx == CLASSES
    names = [Path(name).name for name in dataset.filenames()]
    return len(names), sum(name.startswith("train") for name in names)


folders("usual", train=6, val=2)
folders("no val", train=6, test=2)
folders("other name", training_set=6, test=2)
found = {
    (root, split): read(root, split)
    for root, split in (
        ("usual", "validation"), ("no val", "validation"), ("no val", "test"), ("no val", "tset"), ("other name", "train")
    )
}
print(found)
assert list(found.values()) == [(2, 0), (8, 6), (2, 0), (8, 6), (8, 6)]
PYTHON
