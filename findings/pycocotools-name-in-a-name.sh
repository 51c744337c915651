#!/usr/bin/env bash
# pycocotools 2.0.11: getCatIds finds of one name every category whose name is a part of it, and getImgIds wants all of them.
#
# All filters take one value or a list. What has a length passes for a list, and so does a string: each category's name is then
# looked for within it. catNms="sweatshirt" finds shirt too, "person without mask" finds person and mask. The numbers go on to
# getAnnIds, which takes boxes of any of them, and to getImgIds, which takes pictures that have every one of them. Three
# pictures, the first with a shirt, the second with a sweatshirt, the third with both, seen here:
#                                catNms="sweatshirt"    catNms=["sweatshirt"]
#   categories                        1, 2                    2
#   boxes                             1, 2, 3, 4              2, 4
#   pictures                          3                       2, 3
# So one question brings boxes of another class and loses pictures of its own at once, and no error tells; "shirt" alone works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q pycocotools==2.0.11 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import json
import warnings

from pycocotools.coco import COCO

warnings.simplefilter("error")
boxes = [(1, 1), (2, 2), (3, 1), (3, 2)]  # picture, category
content = {
    "images": [{"id": number, "file_name": f"{number}.jpg", "width": 8, "height": 8} for number in (1, 2, 3)],
    "categories": [{"id": 1, "name": "shirt"}, {"id": 2, "name": "sweatshirt"}, {"id": 3, "name": "hat"}],
    "annotations": [
        {"id": number, "image_id": image, "category_id": category, "bbox": [0, 0, 4, 4], "area": 16, "iscrowd": 0}
        for number, (image, category) in enumerate(boxes, 1)
    ],
}
with open("boxes.json", "w") as file:
    json.dump(content, file)
coco = COCO("boxes.json")


def found(names):
    categories = coco.getCatIds(catNms=names)
    return categories, sorted(coco.getAnnIds(catIds=categories)), sorted(coco.getImgIds(catIds=categories))


print(found("sweatshirt"), found(["sweatshirt"]))
assert found("sweatshirt") == ([1, 2], [1, 2, 3, 4], [3])
assert found(["sweatshirt"]) == ([2], [2, 4], [2, 3])
assert found("shirt") == found(["shirt"]) == ([1], [1, 3], [1, 3])
PYTHON
