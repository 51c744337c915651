#!/usr/bin/env bash
# datasets 5.2.0: class_encode_column of a DatasetDict numbers the classes of each split by itself.
#
# It is the one-line way from labels as text to numbers, and it is asked once, of all splits together. What it does is to ask
# every split in turn, which sorts the names that it has and counts from 0. Where one split lacks a class (a rare one, or a
# fold by person), every class behind it in the alphabet has another number there. Seen here, of one call:
#   train   bare, mask, wrong      0, 1, 2
#   test    mask, wrong, mask      0, 1, 0: to a network that learned from train these are bare, mask and bare
# A network that is right each time scores 0 of 3. A number of classes that is one less is all that could tell; no error and
# no warning. Cast instead each split to one ClassLabel(names=...).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q datasets==5.2.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import datasets

warnings.simplefilter("error")
datasets.disable_progress_bars()
text = datasets.DatasetDict(
    train=datasets.Dataset.from_dict({"label": ["bare", "mask", "wrong"]}),
    test=datasets.Dataset.from_dict({"label": ["mask", "wrong", "mask"]}),
)
encoded = text.class_encode_column("label")
numbers = {split: list(rows["label"]) for split, rows in encoded.items()}
names = {split: rows.features["label"].names for split, rows in encoded.items()}
print(numbers, names)
assert numbers == {"train": [0, 1, 2], "test": [0, 1, 0]}
assert names == {"train": ["bare", "mask", "wrong"], "test": ["mask", "wrong"]}
learned = dict(zip(text["train"]["label"], numbers["train"], strict=True))  # a network that has learned train by heart
answers = [learned[name] for name in text["test"]["label"]]
assert answers == [1, 2, 1] and not any(answer == label for answer, label in zip(answers, numbers["test"], strict=True))
cast = text.cast_column("label", datasets.ClassLabel(names=names["train"]))
assert list(cast["test"]["label"]) == answers
PYTHON
