#!/usr/bin/env bash
# webdataset 1.0.2: pictures whose names hold a dot become one sample.
#
# A sample's key ends at the first dot of the file's name, not before the suffix. A shard made with tar from a folder
# with names as shop cameras and annotation tools give them (shirt.front.jpg and shirt.front.cls, shirt.back.jpg and
# shirt.back.cls) holds two labelled pictures; one sample is read, with the fields front.jpg, front.cls, back.jpg and
# back.cls, and nothing is said. Counts per epoch, splits by sample and the labels' balance are then all of something else.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q webdataset==1.0.2 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import io
import tarfile

import webdataset

with tarfile.open("shard.tar", "w") as shard:
    for name in ("shirt.front", "shirt.back", "skirt_front", "skirt_back"):
        for suffix, content in (("cls", b"0"), ("jpg", b"\xff\xd8")):
            entry = tarfile.TarInfo(f"{name}.{suffix}")
            entry.size = len(content)
            shard.addfile(entry, io.BytesIO(content))
samples = [
    sorted(key for key in sample if not key.startswith("__"))
    for sample in webdataset.WebDataset("shard.tar", shardshuffle=False)
]
print(samples)  # three samples of four pictures
assert samples == [["back.cls", "back.jpg", "front.cls", "front.jpg"], ["cls", "jpg"], ["cls", "jpg"]]
PYTHON
