#!/usr/bin/env bash
# safetensors 0.8.0: the same tensors with the same metadata are another file in every process.
#
# Metadata is a map without an order, and each process writes it in an order of its own; tensors are sorted, so a file
# without metadata, or with one entry, is the same each time and hides it. Comparing checkpoints by the files' hashes
# ("was this run reproduced?"), or keeping files by content, finds differences where there are none: compare tensors.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q safetensors==0.8.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import subprocess
import sys

CODE = """
import hashlib, sys, numpy as np
from safetensors.numpy import save
metadata = {name: "1" for name in sys.argv[1:]}
print(hashlib.sha256(save({"weight": np.zeros(3, np.float32)}, metadata=metadata)).hexdigest())
"""


def hashes(*names):
    return {subprocess.check_output([sys.executable, "-c", CODE, *names]) for _ in range(12)}


print(len(hashes("epoch")), len(hashes("epoch", "seed", "lr", "backbone", "image_size")))
assert len(hashes("epoch")) == 1
assert len(hashes("epoch", "seed", "lr", "backbone", "image_size")) > 1
PYTHON
