#!/usr/bin/env bash
# datasets 5.2.0: a class whose folder is called train, test or valid (a vehicle, a test strip, a valid ticket) is taken for a
# split: of a flat folder of classes the other ones vanish, and in split folders pictures of the test are trained on.
#
# load_dataset("imagefolder") finds splits by words that stand anywhere in a file's path, and does so before it takes folders
# for classes. Where one word is found, files without any are left out; a file that has the words of two splits is in both. The
# word may be in a folder's name ("training shoe") or in a single picture's ("night train.png"). Twelve pictures, seen here:
#   bus, car, bicycle                     train: 12, labels bicycle, bus, car
#   bus, car, train                       train: 4, no labels: bus and car are gone
#   one bus picture, "night train.png"    train: 1, no labels
#   {train,test}/{bus,train}              train: 9, three of them also in test: the pictures of trains that were held out
# No error and no warning. Naming the files of each split (data_files={"train": "train/**", "test": "test/**"}) avoids it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q datasets==5.2.0 pillow==13.0.0 numpy==2.4.6
export HF_HOME="$folder/cache" HF_HUB_OFFLINE=1
environment/bin/python - <<'PYTHON'
import warnings
from pathlib import Path

import datasets
from PIL import Image

datasets.disable_progress_bars()


def read(root, *pictures, **how):
    """Of each split the number of pictures and the classes; and how many files two splits share."""
    for picture in pictures:
        path = Path(root, picture)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = datasets.load_dataset("imagefolder", data_dir=root, **how)
    files, found = [], {}
    for split, rows in splits.items():
        label = rows.features.get("label")
        found[split] = (len(rows), label and label.names)
        files += [image["path"] for image in rows.cast_column("image", datasets.Image(decode=False))["image"]]
    found["shared"] = len(files) - len(set(files))
    print(f"{root}: {found}")
    return found


def numbered(*names, num=4):
    return [f"{name}/{number}.png" for name in names for number in range(num)]


assert read("plain", *numbered("bus", "car", "bicycle")) == {"train": (12, ["bicycle", "bus", "car"]), "shared": 0}
assert read("a class", *numbered("bus", "car", "train")) == {"train": (4, None), "shared": 0}
assert read("a shoe", *numbered("boot", "sandal", "training shoe")) == {"train": (4, None), "shared": 0}
one = [*numbered("bus", "car", "bicycle")[1:], "bus/night train.png"]
assert read("a picture", *one) == {"train": (1, None), "shared": 0}
split = numbered("train/bus", "train/train", "test/bus", "test/train", num=3)
assert read("split", *split) == {"train": (9, ["bus", "train"]), "test": (6, ["bus", "train"]), "shared": 3}
named = read("split", data_files={"train": "train/**", "test": "test/**"})
assert named == {"train": (6, ["bus", "train"]), "test": (6, ["bus", "train"]), "shared": 0}
PYTHON
