from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from multitask.data.headers import read_header
from tests.init.layouts.known import Make, layout_of, refused
from tests.init.made import add_images, image_bytes


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
