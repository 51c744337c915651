#!/usr/bin/env bash
# scikit-image 0.26.0: a TIFF of three or four pages is read as one colour picture, of two or five as so many grey ones.
#
# io.imread of a TIFF with several pages hands out an array of pages, rows and columns. Where there are just three or four of
# them, they are taken for colours and moved to the last axis: three views of one product are the red, the green and the blue of
# a picture in false colours, and of four the last is the transparency. Grey pages of 20 x 30, shape that is read, seen here:
#   pages                                2             3             4             5
#   skimage.io.imread                2,20,30       20,30,3       20,30,4       5,20,30
#   tifffile.imread, imageio.v3      2,20,30       3,20,30       4,20,30       5,20,30
# What takes pictures of colours takes these: rgb2gray blends three views into one, and a loop over the pages, for page in
# picture, runs over twenty rows of 30 x 3. Of scans with two to five pages those with three or four are wrong, and no error or
# warning tells. tifffile.imread keeps the pages.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q scikit-image==0.26.0 tifffile==2026.3.3 imageio==2.38.1 pillow==13.0.0 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import warnings

import imageio.v3
import numpy as np
import tifffile
from PIL import Image
from skimage import color, io

warnings.simplefilter("error")
shapes = {}
for count in (2, 3, 4, 5):
    pages = np.stack([np.full((20, 30), 40 * (number + 1), np.uint8) for number in range(count)])
    first, *others = (Image.fromarray(page) for page in pages)
    first.save(f"{count}.tif", save_all=True, append_images=others)
    found = io.imread(f"{count}.tif")
    shapes[count] = found.shape
    assert (tifffile.imread(f"{count}.tif") == pages).all() and (imageio.v3.imread(f"{count}.tif") == pages).all()
    if count in (3, 4):
        assert (np.moveaxis(found, -1, 0) == pages).all()
    if count == 3:
        blend = color.rgb2gray(found)
        assert blend.shape == (20, 30) and 40 < 255 * blend[0, 0] < 120
print(shapes)
assert shapes == {2: (2, 20, 30), 3: (20, 30, 3), 4: (20, 30, 4), 5: (5, 20, 30)}
PYTHON
