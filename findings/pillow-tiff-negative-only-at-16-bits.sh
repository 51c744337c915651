#!/usr/bin/env bash
# Pillow 13.0.0: a grey TIFF that says "0 is white" is turned around at 8 bits, and handed out as stored at 16.
#
# The tag PhotometricInterpretation says whether 0 is black (1) or white (0). At 8 bits Pillow inverts what is stored with
# 0 = white, so both kinds look alike to whoever reads them. At 16 bits it does not: the same scan, saved with more bits,
# comes out as a negative, in mode I;16, and no attribute beside the raw tag tells. Scanners and medical exports write both.
# A set of mixed depth then trains on positives and negatives: read the tag (`image.tag_v2[262]`) and invert by hand.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q pillow==13.0.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import io
import struct

import numpy as np
from PIL import Image


def tiff(values, photometric):
    """A grey TIFF of one uncompressed strip."""
    height, width = values.shape
    short, long = 3, 4
    tags = [
        (256, short, width), (257, short, height), (258, short, 8 * values.itemsize), (259, short, 1),
        (262, short, photometric), (273, long, 8 + 2 + 12 * 9 + 4), (277, short, 1), (278, short, height),
        (279, long, values.nbytes),
    ]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + struct.pack("<I", 0) + values.tobytes()


def read(values, photometric):
    with Image.open(io.BytesIO(tiff(values, photometric))) as image:
        return image.mode, np.asarray(image).ravel().tolist()


stored = {8: np.array([[0, 100, 255]], dtype=np.uint8), 16: np.array([[0, 1000, 65535]], dtype="<u2")}
for bits, values in stored.items():
    print(f"{bits} bits, stored {values.ravel().tolist()}: 0 is black {read(values, 1)}, 0 is white {read(values, 0)}")
assert read(stored[8], 1) == ("L", [0, 100, 255])
assert read(stored[8], 0) == ("L", [255, 155, 0])
assert read(stored[16], 1) == ("I;16", [0, 1000, 65535])
assert read(stored[16], 0) == ("I;16", [0, 1000, 65535])
PYTHON
