#!/usr/bin/env bash
# timm 1.0.31: pictures of folders that the class_map does not name are left out, and a folder written otherwise is not named.
#
# class_map is a file with a class on each line, given so that training, validation and later runs number the classes alike.
# Names are compared letter by letter, and pictures of a folder without a line of its own are dropped as if they were no
# pictures. A folder "Van" beside a line "van", or a class added since: the rest is loaded. Five
# pictures in each of bus, car and Van, and lines bus, car, van, seen here:
#   create_dataset(.., class_map=..)      10 pictures, class_to_idx bus 0, car 1, van 2
#   the same without class_map            15 pictures
# The network has three outputs and learns two classes; where the validation is read by the same map its accuracy is as good as
# can be, as no picture of the third class is in it. No error and no warning.
# Compare len() with the number of files.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q "torch==2.13.0" "torchvision==0.28.0" "timm==1.0.31" "numpy==2.4.6"
environment/bin/python - <<'PYTHON'
import logging
import warnings
from collections import Counter
from pathlib import Path

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
from PIL import Image
from timm.data import create_dataset

warnings.simplefilter("error", UserWarning)
said = []
handler = logging.Handler()
handler.emit = said.append
logging.getLogger().addHandler(handler)
for name in ("bus", "car", "Van"):
    Path("pictures", name).mkdir(parents=True)
    for number in range(5):
        Image.new("RGB", (4, 4)).save(f"pictures/{name}/{number}.png")


def read(lines):
    """Numbers of the classes, and how many pictures each has."""
    Path("classes.txt").write_text("\n".join(lines) + "\n")
    found = create_dataset("", root="pictures", class_map="classes.txt")
    return found.reader.class_to_idx, dict(Counter(found[index][1] for index in range(len(found))))


print(read(["bus", "car", "van"]), read(["bus", "car"]), read(["bus", "car", "Van"]))
assert read(["bus", "car", "van"]) == ({"bus": 0, "car": 1, "van": 2}, {0: 5, 1: 5})
assert read(["bus", "car"])[1] == {0: 5, 1: 5}
assert read(["bus", "car", "Van"])[1] == {0: 5, 1: 5, 2: 5}
assert len(create_dataset("", root="pictures")) == 15 and not said
PYTHON
