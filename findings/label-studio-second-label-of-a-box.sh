#!/usr/bin/env bash
# label-studio-sdk 2.1.2: of a box with several labels the COCO and VOC exports keep one, and the YOLO export makes two boxes.
#
# With <RectangleLabels choice="multiple"> an annotator gives one face the labels "mask" and "female". The converter writes
# the first label of the stored list to COCO and to Pascal VOC and drops the rest; to YOLO it writes a box for each label. A
# face that is stored as ["female", "mask"] keeps the other half of what is known. Seen here of three boxes with five labels:
#   JSON   five labels        COCO, VOC   mask, female, mask: three        YOLO   five boxes, at three places
# No error and no warning, and the exported files are valid. What goes through COCO has lost labels, which a trainer takes for
# negatives; what goes through YOLO counts a face once for each label. Export JSON and convert that.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv environment
environment/bin/pip install -q label-studio-sdk==2.1.2 pillow==13.0.0
environment/bin/python - <<'PYTHON'
import json
import re
from pathlib import Path

from label_studio_sdk.converter import Converter
from PIL import Image

CONFIG = """<View><Image name="image" value="$image"/><RectangleLabels name="face" toName="image" choice="multiple">
<Label value="mask"/><Label value="female"/><Label value="old"/></RectangleLabels></View>"""
Image.new("RGB", (384, 512)).save("people.jpg")


def box(x, *labels):
    return {
        "from_name": "face", "to_name": "image", "type": "rectanglelabels", "original_width": 384, "original_height": 512,
        "value": {"x": x, "y": 25, "width": 20, "height": 25, "rotation": 0, "rectanglelabels": list(labels)},
    }


boxes = [box(5, "mask", "female"), box(30, "female", "mask"), box(60, "mask")]
annotation = {"id": 1, "created_at": "2026-01-01", "result": boxes}
Path("tasks.json").write_text(json.dumps([{"id": 1, "data": {"image": "people.jpg"}, "annotations": [annotation]}]))


def export(kind, pattern):
    Path(kind).mkdir()
    Converter(CONFIG, ".", download_resources=False).convert("tasks.json", kind, kind, is_dir=False)
    (path,) = Path(kind).rglob(pattern)
    return path.read_text()


coco = json.loads(export("COCO", "*.json"))
names = {category["id"]: category["name"] for category in coco["categories"]}
by_coco = [names[entry["category_id"]] for entry in coco["annotations"]]
by_voc = re.findall(r"<name>(mask|female|old)</name>", export("VOC", "*.xml"))
lines = [line.split() for line in export("YOLO", "labels/*.txt").splitlines()]
classes = Path("YOLO/classes.txt").read_text().split()
by_yolo = [classes[int(line[0])] for line in lines]
places = {tuple(line[1:]) for line in lines}
by_json = [label for region in json.loads(export("JSON_MIN", "*.json"))[0]["face"] for label in region["rectanglelabels"]]
print("COCO", by_coco, "VOC", by_voc, "YOLO", by_yolo, len(places), "JSON", by_json)
assert by_json == ["mask", "female", "female", "mask", "mask"] == by_yolo
assert by_coco == by_voc == ["mask", "female", "mask"]
assert len(places) == 3
PYTHON
