#!/usr/bin/env bash
# fastai 2.8.12: several columns of 0 and 1 are read as one set of classes, "0" and "1", however many labels there are.
#
# ImageDataLoaders.from_df(df, label_col=["mask", "hat"]) is the way to pictures with several labels, and the usual table has a
# column of 0 and 1 for each. What stands in the columns is taken for names of classes: the vocabulary is 0 and 1, and the
# target of a picture says which of the two occur in its row. Targets of the two outputs for rows of mask and hat, seen here:
#   row       0 0      0 1      1 0      1 1
#   target    1 0      1 1      1 1      0 1
# With two labels the network has as many outputs as it should: the first learns "something is missing", the second "there is
# something", which it learns well, with a high accuracy_multi. With 40 labels there are still two outputs. No error and no
# warning. y_block=MultiCategoryBlock(encoded=True, vocab=[..]) takes the columns as they are.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q fastai==2.8.12 torch==2.13.0 torchvision==0.28.0 pandas==3.1.1 pillow==13.0.0 numpy==2.4.6
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
import pandas as pd
from fastai.vision.all import ImageDataLoaders, MultiCategoryBlock
from PIL import Image

rows = [(0, 0), (0, 1), (1, 0), (1, 1)]
table = pd.DataFrame([(f"{place}.png", *rows[place % 4], place % 2, place >= 8) for place in range(16)])
table.columns = ["name", "mask", "hat", "scarf", "held out"]
for name in table["name"]:
    Image.new("RGB", (8, 8)).save(name)


def targets(names, **settings):
    """The vocabulary, and the target of each row of labels."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaders = ImageDataLoaders.from_df(
            table, ".", label_col=names, valid_col="held out", bs=4, num_workers=0, device="cpu", **settings
        )
    labels = loaders.train_ds.items[names].itertuples(index=False)
    found = {tuple(row): tuple(int(value) for value in loaders.train_ds[place][1]) for place, row in enumerate(labels)}
    return [str(name) for name in loaders.vocab], found


two, three = targets(["mask", "hat"]), targets(["mask", "hat", "scarf"])
encoded = targets(["mask", "hat"], y_block=MultiCategoryBlock(encoded=True, vocab=["mask", "hat"]))
print(two, three, encoded)
assert two == (["0", "1"], dict(zip(rows, [(1, 0), (1, 1), (1, 1), (0, 1)]))) and three[0] == ["0", "1"]
assert encoded == (["mask", "hat"], {row: row for row in rows})
PYTHON
