"""The layouts that are known by name, each made at a tiny size: recognised, and read by the config that is written."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from multitask.data.headers import read_header
from multitask.errors import UserError
from multitask.init import LAYOUTS, Options, propose
from tests.init.conftest import Written
from tests.init.made import add_images, image_bytes, write_lines

Make = Callable[..., Written]


def layout_of(path: Path) -> str:
    return next(name for name, layout in LAYOUTS.items() if layout.fits(path))


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        propose(path, path.parent / "config.yaml", Options(**options))
    assert "\n" not in str(caught.value)
    assert not (path.parent / "config.yaml").exists()
    return str(caught.value)


# --- UTKFace ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["", "part1/"])
def test_utkface(tmp_path: Path, written: Make, part: str) -> None:
    names = [f"{part}{1 + row}_{row % 2}_{row % 5}_201701{row:011d}.jpg.chip.jpg" for row in range(90)]
    broken = [f"{part}61_1_20170109142408075.jpg.chip.jpg", f"{part}53__0_20170116184028385.jpg.chip.jpg"]
    add_images(tmp_path / "set", [*names, *broken])
    assert layout_of(tmp_path / "set") == "utkface"
    found = written(tmp_path / "set")
    assert found.proposal.table is None
    assert len(found.samples) == 90
    assert found.classes()["gender"] == ("male", "female")
    assert found.labels(names[33]) == {"age": "30-60", "gender": "female", "race": "indian"}
    assert f"2 files lack an age, gender or race and are skipped, as {min(broken)}" in found.proposal.check


# --- FairFace ---------------------------------------------------------------------------------------------------------


def fairface(root: Path) -> None:
    ages, races = ("0-2", "3-9", "10-19", "20-29", "more than 70"), ("Black", "Latino_Hispanic")
    for side in ("train", "val"):
        add_images(root, (f"{side}/{row}.jpg" for row in range(1, 21)))
        rows = (
            f"{side}/{row}.jpg,{ages[row % 5]},{('Male', 'Female')[row % 2]},{races[row // 2 % 2]}"
            for row in range(1, 21)
        )
        write_lines(root / f"fairface_label_{side}.csv", "file,age,gender,race", *rows)


def test_fairface(tmp_path: Path, written: Make) -> None:
    fairface(tmp_path / "set")
    found = written(tmp_path / "set")
    assert layout_of(tmp_path / "set") == "fairface"
    task = found.config.space().tasks[0]
    assert task.kind == "ordinal"
    assert task.classes[0] == "0-2"
    assert task.classes[-1] == "more than 70"
    assert found.labels("train/7.jpg") == {"age": "10-19", "gender": "Female", "race": "Latino_Hispanic"}
    assert np.bincount(found.samples.sides).tolist() == [20, 20]


def test_fairface_of_other_columns(tmp_path: Path) -> None:
    add_images(tmp_path / "set", ["train/1.jpg"])
    write_lines(tmp_path / "set" / "fairface_label_train.csv", "file,age", "train/1.jpg,3-9")
    assert "has no column 'gender'" in refused(tmp_path / "set")


# --- CelebA -----------------------------------------------------------------------------------------------------------

ATTRIBUTES = ("Bald", "Male", "Smiling", "Young")


@pytest.mark.parametrize("form", ["txt", "csv"])
def test_celeba(tmp_path: Path, written: Make, form: str) -> None:
    names = [f"{row:06d}.jpg" for row in range(1, 41)]
    add_images(tmp_path / "set", (f"img_align_celeba/{name}" for name in names), (178, 218))
    values = [[("-1", "1")[row >> bit & 1] for bit in range(4)] for row in range(40)]
    sides, persons = [str(row // 4 % 3) for row in range(40)], [str(row // 4) for row in range(40)]
    root, gap = tmp_path / "set", {"txt": "  ", "csv": ","}[form]
    rows = [gap.join([name, *words]) for name, words in zip(names, values, strict=True)]
    if form == "txt":
        write_lines(root / "Anno" / "list_attr_celeba.txt", "40", " ".join(ATTRIBUTES), *rows)
        write_lines(root / "Eval" / "list_eval_partition.txt", *map(" ".join, zip(names, sides, strict=True)))
        eyes = [f"{name} 69 109 106 113" for name in names]
        header = "lefteye_x lefteye_y righteye_x righteye_y"
        write_lines(root / "Anno" / "list_landmarks_align_celeba.txt", "40", header, *eyes)
        boxes = [f"{name} 95 71 226 313" for name in names]  # of the images before they were aligned
        write_lines(root / "Anno" / "list_bbox_celeba.txt", "40", "image_id x_1 y_1 width height", *boxes)
        write_lines(root / "Anno" / "identity_CelebA.txt", *map(" ".join, zip(names, persons, strict=True)))
    else:
        write_lines(root / "list_attr_celeba.csv", ",".join(("image_id", *ATTRIBUTES)), *rows)
        lines = map(",".join, zip(names, sides, strict=True))
        write_lines(root / "list_eval_partition.csv", "image_id,partition", *lines)
    assert layout_of(root) == "celeba"
    found = written(root)
    assert found.config.space().task_names == ("Male", "Young", "Smiling")
    assert found.labels("img_align_celeba/000011.jpg") == {"Male": "yes", "Young": "yes", "Smiling": "no"}
    assert found.samples.sides[[0, 4, 8]].tolist() == [0, 1, 2]  # train, val, test
    assert found.samples.num_groups == (10 if form == "txt" else 40)
    assert found.config.data.crop.name == ("align" if form == "txt" else "none")
    if form == "txt":
        assert found.samples.eyes[5].tolist() == [69, 109, 106, 113]
    other = propose(root, tmp_path / "other.yaml", Options(labels=("Bald",)))
    assert "Bald: {classes: [no, yes]}" in other.text


def test_celeba_of_images_before_they_were_aligned(tmp_path: Path, written: Make) -> None:
    names = [f"{row:06d}.jpg" for row in range(1, 41)]
    add_images(tmp_path / "set", (f"img_celeba/{name}" for name in names), (409, 687))
    folder = tmp_path / "set" / "Anno"
    rows = (f"{name} {('-1', '1')[row % 2]}" for row, name in enumerate(names))
    write_lines(folder / "list_attr_celeba.txt", "40", "Male", *rows)
    write_lines(
        folder / "list_bbox_celeba.txt",
        "40",
        "image_id x_1 y_1 width height",
        *(f"{name} 95 71 226 313" for name in names),
    )
    header = "lefteye_x lefteye_y righteye_x righteye_y"  # of the aligned images, which are not here
    write_lines(folder / "list_landmarks_align_celeba.txt", "40", header, *(f"{name} 69 109 106 113" for name in names))
    found = written(tmp_path / "set")
    assert found.config.data.crop.name == "box"
    assert found.samples.boxes[5].tolist() == [95, 71, 321, 384]


def test_celeba_that_is_damaged(tmp_path: Path) -> None:
    add_images(tmp_path / "set", ["000001.jpg", "000002.jpg"])
    attributes = tmp_path / "set" / "list_attr_celeba.txt"
    write_lines(attributes, "2", "Male Young", "000001.jpg 1 1", "000002.jpg 1")
    assert "line 4: must have 3 cells, found 2" in refused(tmp_path / "set")
    write_lines(attributes, "2", "Male Young", "000001.jpg 1 1", "000002.jpg -1 -1")
    write_lines(tmp_path / "set" / "identity_CelebA.txt", "000001.jpg 7")
    assert "says nothing of 000002.jpg" in refused(tmp_path / "set")


# --- Fashion Product Images -------------------------------------------------------------------------------------------

STYLES = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"


def test_fashion(tmp_path: Path, written: Make) -> None:
    add_images(tmp_path / "set", (f"images/{row}.jpg" for row in range(100, 160)), (60, 80))
    rows = [
        f"{row},{('Men', 'Women')[row % 2]},{('Apparel', 'Footwear')[row // 2 % 2]},x,y,NA,"
        f"{('Summer', 'Fall', '')[row % 3]},2012,Casual,A shirt, with a comma {row}"
        for row in range(100, 161)
    ]
    write_lines(tmp_path / "set" / "styles.csv", STYLES, *rows)
    assert layout_of(tmp_path / "set") == "fashion"
    found = written(tmp_path / "set")
    assert len(found.samples) == 60  # 160 has no image
    assert found.labels("images/103.jpg") == {"gender": "Women", "masterCategory": "Footwear", "season": "Fall"}
    assert found.labels("images/101.jpg")["season"] is None
    others = "subCategory, articleType, baseColour, year, usage"
    assert f"labels are gender, masterCategory, season; --labels takes others: {others}" in found.proposal.assumed
    named = propose(tmp_path / "set", tmp_path / "named.yaml", Options(labels=("gender", "season")))
    assert not any("labels are" in line for line in named.assumed)
    write_lines(tmp_path / "set" / "styles.csv", STYLES, "100,Men")
    assert "line 2: must have 10 cells, found 2" in refused(tmp_path / "set")


# --- CVAT -------------------------------------------------------------------------------------------------------------

META = (
    "<meta><task><labels><label><name>face</name><attributes>"
    "<attribute><name>size</name><input_type>select</input_type><values>S\nM\nL</values></attribute>"
    "</attributes></label></labels></task></meta>"
)


def cvat(folder: Path, images: list[str], meta: str = META) -> Path:
    file = folder / "annotations.xml"
    write_lines(file, '<?xml version="1.0" encoding="utf-8"?>', "<annotations>", meta, *images, "</annotations>")
    return file


def tag(label: str, **attributes: object) -> str:
    inner = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in attributes.items())
    return f'<tag label="{label}" source="manual">{inner}</tag>'


def test_cvat(tmp_path: Path, written: Make) -> None:
    add_images(tmp_path / "set", (f"images/a/{row}.png" for row in range(41)))
    rows = [
        f'<image id="{row}" name="a/{row}.png" width="40" height="48" subset="{("train", "val")[row % 2]}">'
        f"{tag('face', age=row // 2 + 10, size='SML'[row % 3], glasses=('true', 'false')[row // 2 % 2])}</image>"
        for row in range(40)
    ]
    box = '<image id="40" name="a/40.png"><box label="face" xtl="1" ytl="1" xbr="2" ybr="2"/></image>'
    file = cvat(tmp_path / "set", [*rows, box])
    assert layout_of(tmp_path / "set") == layout_of(file) == "cvat"
    found = written(tmp_path / "set")
    assert found.classes()["size"] == ("S", "M", "L")
    assert found.classes()["glasses"] == ("false", "true")
    assert found.config.space().tasks[0].kind == "binned"
    row = found.labels("images/a/7.png")
    assert (row["size"], row["glasses"]) == ("M", "false")
    assert np.bincount(found.samples.sides).tolist() == [20, 20]
    assert "1 image has no label and is left out" in found.proposal.check


@pytest.mark.parametrize(
    ("several", "tasks"), [(False, {"tag": ("cat", "dog")}), (True, {"cat": ("no", "yes"), "sleepy": ("no", "yes")})]
)
def test_cvat_labels_of_tags(tmp_path: Path, written: Make, several: bool, tasks: dict[str, tuple[str, ...]]) -> None:
    add_images(tmp_path / "set", (f"{row}.png" for row in range(24)))
    tags = [tag(("cat", "dog")[row % 2]) for row in range(24)]
    if several:
        tags = [(tag("cat") if row % 2 else "") + (tag("sleepy") if row % 3 else tag("cat")) for row in range(24)]
    cvat(tmp_path / "set", [f'<image id="{row}" name="{row}.png">{tags[row]}</image>' for row in range(24)], "")
    assert written(tmp_path / "set").classes() == tasks


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<annotations><image name='0.png'>", "is damaged, or no XML"),
        ("", "is damaged, or no XML"),
        ("<annotations></annotations>", "holds no images; export as 'CVAT for images 1.1'"),
        ("<annotations><image name='0.png'/></annotations>", "no image has a tag"),
        ('<!DOCTYPE a [<!ENTITY a "b">]><annotations/>', "declares entities"),
        (
            "<annotations><image name='x.png'><tag label='a'/></image><image name='y.png'><tag label='b'/></image>"
            "</annotations>",
            "names images, but none is below",
        ),
    ],
)
def test_cvat_that_is_damaged(tmp_path: Path, text: str, reason: str) -> None:
    add_images(tmp_path / "set", ["0.png"])
    (tmp_path / "set" / "annotations.xml").write_text(text)
    assert reason in refused(tmp_path / "set")


# --- Label Studio -----------------------------------------------------------------------------------------------------


def choice(control: str, *choices: str, kind: str = "choices") -> dict[str, Any]:
    value = list(choices) if kind == "choices" else int(choices[0])
    return {"from_name": control, "to_name": "image", "type": kind, "value": {kind: value}}


def task(image: str, *annotations: list[dict[str, Any]], cancelled: bool = False) -> dict[str, Any]:
    done = [{"result": result, "was_cancelled": cancelled} for result in annotations]
    return {"id": 1, "data": {"image": image}, "annotations": done}


def test_label_studio(tmp_path: Path, written: Make) -> None:
    add_images(tmp_path / "set", (f"images/im {row}.jpg" for row in range(40)))
    tasks = []
    for row in range(38):
        answer = [choice("kind", ("cat", "dog")[row % 2]), choice("age", str(row // 2), kind="number")]
        name = f"/data/upload/3/{row:08x}-im%20{row}.jpg" if row % 3 else f"/data/local-files/?d=images/im%20{row}.jpg"
        tasks.append(task(name, answer))
    tasks[4]["annotations"] *= 2
    tasks[4]["annotations"] += [{"result": [choice("kind", "dog")]}]
    tasks[6]["annotations"] += [{"result": [choice("kind", "dog")]}]
    tasks += [task("/data/upload/3/im%2038.jpg"), task("im 39.jpg", [choice("kind", "cat")], cancelled=True)]
    file = tmp_path / "set" / "project-1.json"
    file.write_text(json.dumps(tasks))
    assert layout_of(tmp_path / "set") == layout_of(file) == "label_studio"
    found = written(file)
    assert len(found.samples) == 38
    assert found.labels("images/im 4.jpg")["kind"] == "cat"
    assert found.labels("images/im 6.jpg")["kind"] is None
    assert found.labels("images/im 7.jpg")["kind"] == "dog"
    assert found.config.space().tasks[0].kind == "binned"
    assert "2 images have no label and are left out" in found.proposal.check


def test_label_studio_json_min(tmp_path: Path, written: Make) -> None:
    add_images(tmp_path / "set", (f"{row}.jpg" for row in range(24)))
    rows = [
        {
            "image": f"/data/upload/1/{row:08x}-{row}.jpg",
            "id": row,
            "annotation_id": row,
            "kind": ("cat", "dog")[row % 2],
            "seen": {"choices": ["front", "side"] if row % 3 else ["front"]},
        }
        for row in range(24)
    ]  # fmt: skip
    (tmp_path / "set" / "min.json").write_text(json.dumps(rows))
    found = written(tmp_path / "set")
    assert found.classes() == {"kind": ("cat", "dog"), "seen": ("front", "front and side")}
    assert found.labels("7.jpg") == {"kind": "dog", "seen": "front and side"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"data": {"image": "0.jpg"}, "annotations": [', "is damaged, or no JSON"),
        ("[]", "must be a list of tasks"),
        ('{"a": 1}', "must be a list of tasks"),
        ('[{"data": {"text": "hello"}, "annotations": []}]', "entry 0 names no image"),
        ('[{"data": {"image": "0.jpg"}, "annotations": [{"result": []}]}]', "holds no choices"),
        ('[{"data": {"image": "0.jpg"}, "annotations": 7}]', "holds no choices"),
    ],
)
def test_label_studio_that_is_damaged(tmp_path: Path, text: str, reason: str) -> None:
    add_images(tmp_path / "set", ["0.jpg"])
    (tmp_path / "set" / "export.json").write_text(text)
    assert reason in refused(tmp_path / "set" / "export.json")


# --- Hugging Face datasets on disk ------------------------------------------------------------------------------------

FEATURES = {
    "photo": {"_type": "Image"},
    "kind": {"names": ["cat", "dog"], "_type": "ClassLabel"},
    "age": {"dtype": "int64", "_type": "Value"},
    "owner_id": {"dtype": "string", "_type": "Value"},
    "boxes": {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"},
}


def saved_dataset(folder: Path, num: int, features: dict[str, Any] = FEATURES, data: bytes | None = None) -> None:
    """As ``Dataset.save_to_disk`` of datasets 5.2 writes it."""
    rows = {
        "photo": [{"bytes": image_bytes(".png") if data is None else data, "path": None} for _ in range(num)],
        "kind": [row % 2 if row else -1 for row in range(num)],
        "age": [row // 2 for row in range(num)],
        "owner_id": [f"{folder.name}{row // 2}" for row in range(num)],
        "boxes": [[1.0, 2.0]] * num,
    }
    table = pa.table(rows)
    folder.mkdir(parents=True)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as to,
    ):
        to.write_table(table)
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))


def test_hugging_face_splits(tmp_path: Path, written: Make) -> None:
    for side in ("train", "validation"):
        saved_dataset(tmp_path / "set" / side, 40)
    (tmp_path / "set" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation"]}))
    assert layout_of(tmp_path / "set") == "hugging_face"
    found = written(tmp_path / "set")
    assert Path(found.config.data.root) == tmp_path / "out" / "config_images"
    assert np.bincount(found.samples.sides).tolist() == [40, 40]
    assert found.labels("train/0000007.png")["kind"] == "dog"
    assert found.labels("train/0000000.png")["kind"] is None
    assert found.samples.num_groups == 40
    assert all(path.read_bytes() == image_bytes(".png") for path in list(found.samples.paths())[:3])
    assert "config_images: exists" in refused_beside(tmp_path)


def refused_beside(tmp_path: Path) -> str:
    with pytest.raises(UserError) as caught:
        propose(tmp_path / "set", tmp_path / "out" / "config.yaml", Options())
    return str(caught.value)


def test_hugging_face_that_is_damaged(tmp_path: Path) -> None:
    def reason(**changes: Any) -> str:
        shutil.rmtree(tmp_path / "set", ignore_errors=True)
        saved_dataset(tmp_path / "set", 6, **changes)
        return refused(tmp_path / "set")

    assert "has no column of images" in reason(features={"kind": FEATURES["kind"]})
    assert "row 0: is no image of a format that is read" in reason(data=b"no image")
    assert "kind: is none of 1 classes" in reason(
        features={**FEATURES, "kind": {"names": ["a"], "_type": "ClassLabel"}}
    )
    file = tmp_path / "set" / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:50])
    assert "is damaged, or no Arrow file" in refused(tmp_path / "set")
    file.unlink()
    assert "no such file" in refused(tmp_path / "set")
    (tmp_path / "set" / "state.json").write_text("{")
    assert "is damaged, or no JSON" in refused(tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


# --- Parquet files of images -----------------------------------------------------------------------------------------


def images_in_parquet(file: Path, num: int, *, described: bool = False, **columns: Any) -> None:
    """As ``Dataset.to_parquet`` writes it, or any program a column of bytes."""
    rows = {
        "image": [{"bytes": image_bytes(".png"), "path": f"{row}.png"} for row in range(num)],
        "kind": [row % 2 if row else -1 for row in range(num)],
        "age": [row // 2 for row in range(num)],
        "owner_id": [f"{file.stem}{row // 2}" for row in range(num)],
        "boxes": [[1.0, 2.0]] * num,
        **columns,
    }
    features = {"kind": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    described_as = {"huggingface": json.dumps({"info": {"features": features}})} if described else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows).replace_schema_metadata(described_as), file)


def test_parquet_files_of_images(tmp_path: Path, written: Make) -> None:
    for split in ("train", "validation"):
        images_in_parquet(tmp_path / "set" / "data" / f"{split}-00000-of-00001.parquet", 40, described=True)
    assert layout_of(tmp_path / "set") == "parquet_images"
    found = written(tmp_path / "set")
    assert Path(found.config.data.root) == tmp_path / "out" / "config_images"
    assert np.bincount(found.samples.sides).tolist() == [40, 40]
    assert found.classes()["kind"] == ("cat", "dog")
    assert found.labels("train/00000-0000007.png")["kind"] == "dog"
    assert found.labels("train/00000-0000000.png")["kind"] is None
    assert found.samples.num_groups == 40
    assert all(path.read_bytes() == image_bytes(".png") for path in list(found.samples.paths())[:3])


@pytest.mark.parametrize("form", ["bytes", "path"])
def test_one_parquet_file_of_bytes_or_of_paths(tmp_path: Path, written: Make, form: str) -> None:
    add_images(tmp_path / "set", (f"{row}.jpg" for row in range(40)))
    cells: list[Any] = [image_bytes()] * 39 + [None]
    if form == "path":
        cells = [{"bytes": None, "path": f"{row}.jpg"} for row in range(39)] + [None]
    images = pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()}) if form == "path" else pa.binary())
    images_in_parquet(tmp_path / "set" / "a.parquet", 40, image=images, kind=["cat", "dog"] * 20)
    assert layout_of(tmp_path / "set" / "a.parquet") == "parquet_images"
    found = written(tmp_path / "set" / "a.parquet")
    assert len(found.samples) == 39
    assert "1 row has no image and is left out" in found.proposal.check
    assert found.labels("images/00000-0000007.jpg")["kind"] == "dog"


def test_parquet_files_of_images_that_are_damaged(tmp_path: Path) -> None:
    file = tmp_path / "set" / "a.parquet"
    images_in_parquet(file, 6, image=[{"bytes": b"no image", "path": None}] * 6)
    assert "row 1: is no image of a format that is read" in refused(file)
    images_in_parquet(file, 6, image=[{"bytes": None, "path": "gone.png"}] * 6)
    assert "row 1: its image gone.png cannot be read: No such file" in refused(file)
    images_in_parquet(file, 6, described=True, kind=[7] * 6)
    assert "row 1: kind: is none of 2 classes: 7" in refused(file)
    images_in_parquet(file.with_name("b.parquet"), 6, image=["b.png"] * 6)
    images_in_parquet(file, 6)
    assert "b.parquet: has no column of images" in refused(tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


# --- WebDataset -------------------------------------------------------------------------------------------------------


def shard(file: Path, members: dict[str, bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def members(start: int, num: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {"__readme__": b"words"}
    for row in range(start, start + num):
        found |= {
            f"a/{row:05d}.mask.png": image_bytes(".png", (9, 9)),  # beside the image
            f"a/{row:05d}.jpg": image_bytes(),
            f"a/{row:05d}.cls": str(row % 2).encode(),
            f"a/{row:05d}.json": json.dumps({"size": "SML"[row % 3], "box": [1, 2]}).encode(),
            f"a/{row:05d}.npy": bytes(range(128, 192)),
        }
    return found


def test_webdataset_shards_are_read_as_they_are(tmp_path: Path, written: Make) -> None:
    for number in (7, 8):
        shard(tmp_path / "set" / f"train-{number:04d}.tar", members(number * 30, 30))
    shard(tmp_path / "set" / "val-0000.tar", members(0, 30) | {"b.txt": b"no image"})
    assert layout_of(tmp_path / "set") == "webdataset"
    found = written(tmp_path / "set")
    assert found.source.name == "webdataset"
    assert (found.source.shards, found.source.val_shards) == (("train-{0007..0008}.tar",), ("val-0000.tar",))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["config.yaml"]  # no image is written, no table
    assert found.classes() == {"cls": ("0", "1"), "size": ("S", "M", "L")}
    assert np.bincount(found.samples.sides).tolist() == [60, 30]
    assert found.labels("train-0008.tar/a/00242.jpg") == {"cls": "0", "size": "L"}
    assert found.config.data.sampler.name == "uniform"
    assert "1 sample has no image and is left out" in found.proposal.check
    assert layout_of(tmp_path / "set" / "val-0000.tar") == "webdataset"
    add_images(tmp_path / "set", ["x/1.jpg"])
    assert layout_of(tmp_path / "set") == "folder"  # of which the tar is the archive


def test_webdataset_beyond_memory_is_streamed(tmp_path: Path, written: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    shard(tmp_path / "set" / "train-0.tar", members(0, 60))
    free = 2 * 60 * 48 * 40 * 3
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free - 1))
    assert written(tmp_path / "set" / "train-0.tar").config.data.sampler.name == "stream"


def test_webdataset_says_a_group_and_who_is_to_be_answered(tmp_path: Path, written: Make) -> None:
    for side in ("train", "query"):
        said = {
            f"{row}.json": json.dumps({"hair colour": "br"[row % 2], "person": row // 2}).encode() for row in range(40)
        }
        found = {
            name: data
            for row in range(40)
            for name, data in ((f"{row}.jpg", image_bytes()), (f"{row}.json", said[f"{row}.json"]))
        }
        shard(tmp_path / "set" / side / f"{side}-faces.tar", found)
    shards = written(tmp_path / "set")
    assert (shards.source.name, shards.source.shards) == ("webdataset", ("train/train-faces.tar",))
    assert shards.source.tasks["hair_colour"].column == "hair colour"
    assert shards.source.query_shards == ("query/query-faces.tar",)
    assert (shards.source.group, shards.samples.num_groups) == ("person", 20)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"a/00003.cls": None}, id="a column that a sample lacks"),
        pytest.param({"a/00003.cls": b"NaN"}, id="a word for unknown"),
    ],
)
def test_webdataset_that_the_source_would_refuse_gets_a_table(
    tmp_path: Path, written: Make, changes: dict[str, bytes | None]
) -> None:
    given = {name: data for name, data in {**members(0, 60), **changes}.items() if data is not None}
    shard(tmp_path / "set" / "train-0.tar", given)
    found = written(tmp_path / "set")
    assert (found.source.name, found.proposal.images) == ("table", None)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.csv", "config.yaml"]
    assert found.labels("train-0.tar/a/00003.jpg") == {"cls": None, "size": "S"}
    assert found.labels("train-0.tar/a/00005.jpg") == {"cls": "1", "size": "L"}
    assert read_header(found.samples.paths()[5]).width_px == 40


def test_webdataset_whose_samples_say_the_split_gets_a_table(tmp_path: Path, written: Make) -> None:
    given = members(0, 60)
    for row in range(60):
        given[f"a/{row:05d}.json"] = json.dumps(
            {"size": "SML"[row % 3], "split": ("train", "val")[row % 4 == 0]}
        ).encode()
    shard(tmp_path / "set" / "all-0.tar", given)
    found = written(tmp_path / "set")
    assert found.source.name == "table"
    assert np.bincount(found.samples.sides).tolist() == [45, 15]


@pytest.mark.parametrize("name", ["train-0.tar.gz", "train-0.tar"])
def test_webdataset_that_is_compressed_is_extracted(tmp_path: Path, written: Make, name: str) -> None:
    shard(tmp_path / "set" / "train-0.tar.gz", members(0, 40))
    (tmp_path / "set" / "train-0.tar.gz").rename(tmp_path / "set" / name)
    found = written(tmp_path / "set")
    assert found.source.name == "table"
    assert Path(found.config.data.root) == tmp_path / "out" / "config_images"
    assert found.labels("train-0/a/00032.jpg") == {"cls": "0", "size": "L"}
    with Image.open(found.samples.paths()[0]) as image:
        assert image.size == (40, 48)


def test_webdataset_that_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "set" / "train-0.tar"
    shard(file, members(0, 4))
    file.write_bytes(file.read_bytes()[:3000])
    assert "is cut within a/00000.jpg" in refused(file)
    file.write_bytes(b"no tar file" * 100)
    assert "is no tar file, or damaged" in refused(file)
    shard(tmp_path / "a.tar.gz", members(0, 4))
    file.write_bytes((tmp_path / "a.tar.gz").read_bytes()[:200])
    (tmp_path / "a.tar.gz").unlink()
    assert "is damaged, or no tar file" in refused(file)
    shard(file.with_name("{0}.tar"), members(0, 4))
    assert "has a brace or a star in its name" in refused(file.with_name("{0}.tar"))
    file.with_name("{0}.tar").unlink()
    shard(file, {"a.jpg": image_bytes(), "a.json": b"{"})
    assert "a.json: is damaged" in refused(file)
    shard(file, {"../a.jpg": image_bytes(), "../a.cls": b"1"})
    assert "leaves the data root" in refused(file)
    shard(file, {"a.cls": b"1"})
    assert "holds no images" in refused(file)
    shard(file, {"shirt.front.jpg": image_bytes(), "shirt.back.jpg": image_bytes(), "shirt.cls": b"1"})
    assert "shirt: has several images (.front.jpg, .back.jpg)" in refused(file)
    shard(file, {"a.jpg": image_bytes(), "./a.JPG": image_bytes(), "a.cls": b"1"})
    assert "a: has .JPG twice" in refused(file)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["set", "train-0.tar"]


# --- the mask competition ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["", "train"])
def test_the_competition_is_read_by_its_own_source(drawn: Path, written: Make, part: str) -> None:
    assert layout_of(drawn / part) == "competition"
    found = written(drawn / part)
    assert found.proposal.table is None
    assert found.config.data.source.name == "competition"
    assert found.classes() == {
        "mask": ("wear", "incorrect", "not_worn"),
        "gender": ("male", "female"),
        "age": ("<30", "30-60", ">=60"),
    }
    assert len(found.samples) == 12 * 7
    assert len(set(found.samples.groups)) == 12
