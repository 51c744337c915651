#!/usr/bin/env bash
# timm 1.0.31 and torchvision 0.28.0: the same folder of classes, numbered in two ways.
#
# torchvision's ImageFolder sorts the folders' names as text: 0, 1, 10, 11, 2, and capitals before small letters. timm's
# reader of folders sorts them naturally and without regard to case: 0, 1, 2, 10, 11. A network trained by timm's script
# and scored, served or fine-tuned through ImageFolder (or the other way round) answers with wrong classes, with no error
# and, where few folders trade places, with a score that is only somewhat worse. Neither writes the order into a checkpoint.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q "torch==2.13.0" "torchvision==0.28.0" "timm==1.0.31" "numpy==2.4.6"
environment/bin/python - <<'PYTHON'
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
    import torchvision
import torchvision.datasets
from timm.data import create_dataset


def classes(root, *names):
    for name in names:
        (Path(root) / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(Path(root) / name / "picture.png")
    return torchvision.datasets.ImageFolder(root).class_to_idx, create_dataset("", root).reader.class_to_idx


numbers, words = classes("numbers", "0", "1", "2", "10", "11"), classes("words", "Bag", "Coat", "apron")
print(numbers, words)
assert numbers[0] == {"0": 0, "1": 1, "10": 2, "11": 3, "2": 4}
assert numbers[1] == {"0": 0, "1": 1, "2": 2, "10": 3, "11": 4}
assert words[0] == {"Bag": 0, "Coat": 1, "apron": 2}
assert words[1] == {"apron": 0, "Bag": 1, "Coat": 2}
PYTHON
