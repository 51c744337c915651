#!/usr/bin/env bash
# zarr 3.1.6: pictures and labels whose files were lost are read as black pictures of class 0.
#
# An array of pictures, and one of labels beside it, is a folder with a file for each chunk. A chunk that has no file is, by
# the format, one that holds the fill value, 0 unless it is set. So a copy that ended early, a sync that left files out or a
# disk that lost one gives a whole array: the shape is in the metadata. Eight pictures of value 1 to 8 and labels 1 to 3,
# chunks of two, one file of each removed, seen here:
#   pictures   1 2 0 0 5 6 7 8         labels   1 2 3 1 0 0 1 2
# No error and no warning, also where every file is gone. A file of HDF5, numpy or Parquet that is cut short refuses to be
# read. nchunks_initialized < nchunks tells it, unless chunks that are all 0 were left out as they were written, as they are by
# default: write with config={"write_empty_chunks": True}, or with a fill value that is no class.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q zarr==3.1.6 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import pathlib
import warnings

import numpy as np
import zarr

warnings.simplefilter("error")
settings = {"dtype": "int64", "fill_value": 0, "config": {"write_empty_chunks": True}}
group = zarr.open_group("set.zarr", mode="w")
group.create_array("pictures", shape=(8, 4, 4), chunks=(2, 4, 4), **settings)[:] = np.arange(1, 9)[:, None, None]
group.create_array("labels", shape=(8,), chunks=(2,), **settings)[:] = np.arange(8) % 3 + 1


def read():
    """The value of each picture, the labels, and how many chunks lack a file."""
    group = zarr.open_group("set.zarr", mode="r")
    pictures, labels = group["pictures"], group["labels"]
    lacking = [array.nchunks - array.nchunks_initialized for array in (pictures, labels)]
    return pictures[:, 0, 0].tolist(), labels[:].tolist(), lacking


assert read() == ([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 1, 2, 3, 1, 2], [0, 0])
for name in ("pictures/c/1/0/0", "labels/c/2"):
    pathlib.Path("set.zarr", name).unlink()
found = read()
print(*found)
assert found == ([1, 2, 0, 0, 5, 6, 7, 8], [1, 2, 3, 1, 0, 0, 1, 2], [1, 1])
for path in pathlib.Path("set.zarr").glob("*/c/**/*"):
    if path.is_file():
        path.unlink()
assert read() == ([0] * 8, [0] * 8, [4, 4])
PYTHON
