#!/usr/bin/env bash
# Albumentations 2.0.8: the numbers that travel with boxes or keypoints in label_fields come back as other numbers.
#
# label_fields is where one puts what must stay with a box when others are cropped away: its class, and the id by which its
# annotation is found again. Numbers are carried in the float32 array of the boxes, so whole numbers above 2**24 lose their last
# digits, also where no transform is applied. Ids that are times, hashes or COCO's own ones of crowds are that large. Seen here:
#   [16777216, 16777217, 16777219]    [16777216.0, 16777216.0, 16777220.0]: two boxes share an id, one has that of a fourth
#   [900100012345, 900100012346]      [900099997696.0, 900099997696.0]
# An integer array comes back as integers, so that not even a decimal point tells. Text is safe: pass the ids as strings, or
# pass positions and look the ids up afterwards.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q albumentations==2.0.8 opencv-python-headless==5.0.0.93 numpy==2.4.6
environment/bin/python - <<'PYTHON'
import os
import warnings

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations
import numpy as np

image, flip = np.zeros((32, 32, 3), np.uint8), albumentations.HorizontalFlip(p=0)
box = albumentations.BboxParams(format="pascal_voc", label_fields=["ids"])
point = albumentations.KeypointParams(format="xy", label_fields=["ids"])


def carried(ids):
    """What becomes of the ids of boxes, and of keypoints, in a pipeline whose transform is never applied."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_box = albumentations.Compose([flip], bbox_params=box)(image=image, bboxes=[[4, 4, 9, 9]] * len(ids), ids=ids)
        by_point = albumentations.Compose([flip], keypoint_params=point)(image=image, keypoints=[[4, 4]] * len(ids), ids=ids)
    assert list(by_box["ids"]) == list(by_point["ids"])
    return by_box["ids"]


near, far = [16777216, 16777217, 16777219], [900100012345, 900100012346]
print(carried(near), carried(far), carried(np.array(near)), carried([str(number) for number in near]))
assert carried(near) == [16777216.0, 16777216.0, 16777220.0]
assert len(set(carried(far))) == 1 and not set(carried(far)) & set(far)
assert carried(np.array(near)).dtype == np.int64 and carried(np.array(near)).tolist() == [16777216, 16777216, 16777220]
assert carried([str(number) for number in near]) == [str(number) for number in near]
PYTHON
