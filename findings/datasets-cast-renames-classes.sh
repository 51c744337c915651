#!/usr/bin/env bash
# datasets 5.2.0: casting labels to the same classes in another order keeps the numbers, so that pictures change their class.
#
# Two sources name the same three classes, in two orders. concatenate_datasets refuses them, since their features differ; giving
# one the other's features, by cast, cast_column or map(features=...), makes them fit. What is changed is the list of names
# alone, not the numbers in the rows: what was a mask is then a bare face. The detour over text gives the digits as text, and
# these, cast to the classes, the same wrong ones. Of three pictures, "mask", "bare" and "wrong", seen here:
#   cast, cast_column, map, by way of Value("string")   "bare", "wrong", "mask"      align_labels_with_mapping   as they were
# No error and no warning, and the concatenated set looks like one. Names are moved only by align_labels_with_mapping.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q datasets==5.2.0 numpy==2.4.6
export HF_HOME="$folder/cache" HF_HUB_OFFLINE=1
environment/bin/python - <<'PYTHON'
import warnings

import datasets

warnings.simplefilter("error")
datasets.disable_progress_bars()
PICTURES = ["mask", "bare", "wrong"]


def source(*names):
    features = datasets.Features({"label": datasets.ClassLabel(names=list(names))})
    return datasets.Dataset.from_dict({"label": [names.index(name) for name in PICTURES]}, features=features)


def said(rows):
    return rows.features["label"].int2str(rows["label"][:])


ours, theirs = source("bare", "mask", "wrong"), source("mask", "wrong", "bare")
assert said(ours) == said(theirs) == PICTURES
try:
    datasets.concatenate_datasets([ours, theirs])
except ValueError:
    print("not concatenated as they are")
else:
    raise AssertionError("sources of two orders are concatenated now")
numbers = {name: number for number, name in enumerate(ours.features["label"].names)}
made = {
    "cast": theirs.cast(ours.features),
    "cast_column": theirs.cast_column("label", ours.features["label"]),
    "map": theirs.map(lambda row: row, features=ours.features),
    "by text": theirs.cast_column("label", datasets.Value("string")).cast_column("label", ours.features["label"]),
    "aligned": theirs.align_labels_with_mapping(numbers, "label"),
}
found = {how: said(datasets.concatenate_datasets([ours, rows])) for how, rows in made.items()}
print(found)
assert found.pop("aligned") == PICTURES + PICTURES
assert all(labels == [*PICTURES, "bare", "wrong", "mask"] for labels in found.values())
PYTHON
