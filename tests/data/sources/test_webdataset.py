"""WebDataset shards: read once, by patterns, with groups on one side, and what is wrong is named and counted."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from multitask.data.image_store import ImageStore
from multitask.data.samples import Samples
from multitask.data.settings import DataSettings
from multitask.data.sources import shard_index
from multitask.data.sources.shard_paths import expand_braces
from multitask.data.sources.webdataset import WebDatasetSettings
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace, Task
from multitask.settings import problems
from multitask.utils.shared_arrays import kept_files
from tests.data.made_shards import jpeg, sample, write_shard

SPACE = LabelSpace([Task("colour", ("red", "blue")), Task("price", ("low", "high"), "binned", (20.0,))])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "multitask"


def read(root: Path, space: LabelSpace = SPACE, **settings: Any) -> Samples:
    source = WebDatasetSettings(**settings)
    source.check(space)
    return source.samples(root, space)


def refused(root: Path, space: LabelSpace = SPACE, **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(root, space, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def two_shards(root: Path) -> None:
    write_shard(
        root / "a-0.tar",
        sample("1", 10, colour="red", price=5, who="x") | sample("2", 20, colour="blue", price=30, who="y"),
    )
    write_shard(root / "a-1.tar", sample("1", 30, colour="blue", price=None, who="x"))


def old(path: Path) -> Path:
    """A file that has not changed for an hour."""
    seconds = os.stat(path).st_mtime - 3600
    os.utime(path, (seconds, seconds))
    return path


def test_fields_are_columns_and_a_field_that_is_null_an_unknown_label(tmp_path: Path) -> None:
    two_shards(tmp_path)
    samples = read(tmp_path, shards="a-{0..1}.tar", group="who")
    assert samples.images.tolist() == ["a-0.tar/1.jpg", "a-0.tar/2.jpg", "a-1.tar/1.jpg"]
    assert samples.labels.tolist() == [[0, 0], [1, 1], [1, MISSING]]
    assert samples.numbers[:2, 1].tolist() == [5, 30]
    assert samples.groups.tolist() == ["x", "y", "x"]
    assert samples.sides is None


def test_texts_by_extension_columns_of_the_key_and_of_the_shard(tmp_path: Path) -> None:
    write_shard(
        tmp_path / "a.tar",
        {"u_1.jpg": jpeg(1), "u_1.cls": b"1\n", "u_1.seg.png": b"a mask", "v_2.cls": b"0", "v_2.JPEG": jpeg(2)},
    )
    space = LabelSpace([SPACE.tasks[0]])
    tasks = {"colour": {"column": "cls", "indices": True}}
    samples = read(tmp_path, space, tasks=tasks, key="{who}_{_}", group="who")
    assert samples.labels[:, 0].tolist() == [1, 0]
    assert samples.groups.tolist() == ["u", "v"]
    assert samples.images.tolist() == ["a.tar/u_1.jpg", "a.tar/v_2.JPEG"]
    assert set(read(tmp_path, space, tasks=tasks, group="__shard__").groups) == {"a.tar"}
    assert "does not match the pattern key: '{who}-{_}'" in refused(tmp_path, space, tasks=tasks, key="{who}-{_}")


def test_shards_say_who_validates_and_a_group_on_two_sides_is_refused(tmp_path: Path) -> None:
    two_shards(tmp_path)
    samples = read(tmp_path, shards="a-0.tar", val_shards="a-1.tar")
    assert samples.sides is not None
    assert samples.sides.tolist() == [0, 0, 1]
    left = read(tmp_path, shards="a-0.tar", test_shards="a-1.tar").sides
    assert left is not None
    assert left.tolist() == [MISSING, MISSING, 2]  # of those who train, some validate
    assert "group 'x' is also in a-0.tar/1.jpg" in refused(
        tmp_path, shards="a-0.tar", val_shards="a-1.tar", group="who"
    )
    assert "data.source.val_shards: a-1.tar stands in shards too" in refused(tmp_path, val_shards="a-1.tar")


def test_braces_are_expanded_as_in_shells() -> None:
    assert expand_braces("{a,b}/{008..010}.tar") == [
        f"{folder}/{number}.tar" for folder in "ab" for number in ("008", "009", "010")
    ]
    assert expand_braces("x-{9..11}.tar") == ["x-9.tar", "x-10.tar", "x-11.tar"]
    for pattern in ("{0..", "a}", "{3..1}.tar", "{0..9999999}.tar", "{a..b}.tar", "{a,{b,c}}.tar"):
        with pytest.raises(ValueError, match=r"must have|means more"):
            expand_braces(pattern)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"shards": "a.tar.gz"}, "shards: must end in .tar, found 'a.tar.gz'; unpack it"),
        ({"shards": "../a.tar"}, "shards: a pattern: leaves the data root"),
        ({"shards": "https://host/{0..9}.tar"}, "fetch remote shards first"),
        ({"shards": []}, "shards"),
        ({"shards": "{1..0}.tar"}, "shards: must have ranges that go up"),
        ({"key": "{who}_{who}"}, "{who} stands twice"),
        ({"key": "who"}, "key: must have the name of a column"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], expected: str) -> None:
    assert expected in "; ".join(problems(WebDatasetSettings, settings))


def test_shards_that_are_missing_are_counted(tmp_path: Path) -> None:
    two_shards(tmp_path)
    assert refused(tmp_path, shards="a-{0..3}.tar") == f"{tmp_path}/a-2.tar: no such file (and 1 more of shards)"
    assert refused(tmp_path, shards="b*.tar") == f"{tmp_path}/b*.tar: no shard is called so (data.source.shards)"
    assert "a-0.tar is meant twice" in refused(tmp_path, shards=["a-0.tar", "a-*.tar"])


@pytest.mark.parametrize("harm", ["cut within an image", "cut at a member's end", "a header", "no tar"])
def test_a_shard_that_is_damaged_is_named_and_counted_or_skipped(tmp_path: Path, harm: str) -> None:
    members = {
        name: data for number in range(4) for name, data in sample(str(number), number, colour="red", price=1).items()
    }
    whole = write_shard(tmp_path / "c-0.tar", members).read_bytes()
    second = whole.index(b"2.jpg")
    broken = {
        "cut within an image": whole[: second + 600],
        "cut at a member's end": whole[:second],
        "a header": whole[:second] + b"\xff" * 512 + whole[second + 512 :],
        "no tar": b"hello" * 500,
    }[harm]
    for name in ("c-1.tar", "c-2.tar"):
        (tmp_path / name).write_bytes(broken)
    line = refused(tmp_path)
    assert line.startswith(f"{tmp_path}/c-1.tar: is ")
    assert line.endswith("(and 1 more); damaged: skip leaves such shards out")
    samples = read(tmp_path, damaged="skip")
    assert len(samples) == 4
    assert samples.notes[0].startswith(f"2 shards are damaged and left out: {tmp_path}/c-1.tar: is ")
    (tmp_path / "c-0.tar").unlink()
    assert "hold no samples" in refused(tmp_path, damaged="skip")


def test_a_compressed_shard_is_refused_whatever_it_is_called(tmp_path: Path) -> None:
    two_shards(tmp_path)
    (tmp_path / "a-1.tar").write_bytes(gzip.compress((tmp_path / "a-1.tar").read_bytes()))
    assert "a-1.tar: is compressed; unpack it" in refused(tmp_path, damaged="skip")


def test_samples_without_image_or_label_are_counted_or_skipped(tmp_path: Path) -> None:
    write_shard(
        tmp_path / "a.tar",
        sample("1", 1, colour="red", price=1)
        | {"2.json": b"{}", "3.jpg": jpeg(3)}
        | sample("4", 4, color="red", price=1),
    )
    assert (
        refused(tmp_path) == f"{tmp_path}/a.tar, 2: has no image (and 2 more); incomplete: skip leaves such samples out"
    )
    samples = read(tmp_path, incomplete="skip")
    assert samples.images.tolist() == ["a.tar/1.jpg"]
    assert samples.notes[0] == f"3 samples are incomplete and left out: {tmp_path}/a.tar, 2: has no image"
    write_shard(tmp_path / "a.tar", sample("4", 4, color="red", price=1))
    assert "4: says nothing of 'colour', as colour.txt or JSON would; did you mean" in refused(tmp_path)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (sample("1", 1) | sample("2", 2) | {"1.txt": b"late"}, "1: comes twice; the members of a sample must follow"),
        ({"1.jpg": jpeg(1), "1.JPG": jpeg(2)}, "1: has .JPG twice"),
        ({"1.jpg": jpeg(1), "1.png": jpeg(2)}, "1: has several images (.jpg, .png)"),
        (sample("1", 1, colour="green", price=1), "1: colour: "),
        ({"1.jpg": jpeg(1), "1.json": b"{"}, "1.json: is damaged"),
        (sample("../1", 1, colour="red", price=1), "leaves the data root"),
    ],
)
def test_what_is_wrong_in_a_sample_is_named(tmp_path: Path, members: dict[str, bytes], expected: str) -> None:
    write_shard(tmp_path / "a.tar", members)
    line = refused(tmp_path)
    assert str(tmp_path / "a.tar") in line
    assert expected in line


def test_groups_and_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", sample("1", 1, colour="red", price=1, who="", much=-1))
    assert "a.tar, 1: who: is '', which names no group" in refused(tmp_path, group="who")
    assert "much: must be a number of at least 0" in refused(tmp_path, weight="much")
    assert "has no column 'whose'" in refused(tmp_path, group="whose")


def test_a_shard_is_read_once_for_all_runs_unless_it_changes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_shards(tmp_path)
    read(tmp_path)
    assert not kept_files(cache)  # as young as they are, they may change without a trace
    for name in ("a-0.tar", "a-1.tar"):
        old(tmp_path / name)
    before = read(tmp_path, group="who")
    assert [file.kind for file in kept_files(cache)] == ["shards", "shards"]
    with monkeypatch.context() as patched:
        patched.setattr(shard_index, "_read", lambda path: pytest.fail(f"{path} is read again"))
        again = read(tmp_path, group="who")
    assert again.labels.tolist() == before.labels.tolist()
    assert again.groups.tolist() == before.groups.tolist()
    old(write_shard(tmp_path / "a-1.tar", sample("7", 30, colour="red", price=1)))
    assert read(tmp_path).images.tolist()[2:] == ["a-1.tar/7.jpg"]


def test_where_nothing_can_be_kept_shards_are_read_each_time(tmp_path: Path, cache: Path) -> None:
    two_shards(tmp_path)
    old(tmp_path / "a-0.tar")
    cache.parent.mkdir()
    cache.write_text("no folder")
    assert len(read(tmp_path)) == 3


def test_the_sampler_that_streams_needs_shards_and_no_cache() -> None:
    def settings(**more: Any) -> DataSettings:
        return DataSettings.model_validate(
            {"root": "x", "source": {"name": "webdataset"}, "sampler": {"name": "stream"}} | more
        )

    assert settings().cache == "auto"
    for more, expected in (
        (
            {"source": {"name": "table"}},
            "sampler: stream reads shards in their order and needs the source webdataset, found table",
        ),
        ({"cache": "memory"}, "sampler: stream would be ignored beside cache: memory"),
    ):
        with pytest.raises(ValueError, match=expected):
            settings(**more)


@pytest.mark.parametrize(("sampler", "kept"), [("stream", False), ("uniform", True)])
def test_images_that_are_streamed_are_not_kept(tmp_path: Path, sampler: str, kept: bool) -> None:
    two_shards(tmp_path)
    settings = DataSettings.model_validate(
        {"root": str(tmp_path), "source": {"name": "webdataset"}, "sampler": {"name": sampler}}
    )
    store = ImageStore(settings, read(tmp_path), settings.preprocessing(((0.5,) * 3, (0.5,) * 3)), tmp_path / "kept")
    assert (store.cache != "none") is kept


def test_json_of_any_kind_is_no_reason_to_stop(tmp_path: Path) -> None:
    said = {"colour": "red", "price": 2, "boxes": [1, 2], "more": {"a": 1}}
    write_shard(tmp_path / "a.tar", {"1.jpg": jpeg(1), "1.json": json.dumps(said).encode(), "1.npy": b"\x93NUMPY\xff"})
    assert read(tmp_path).labels.tolist() == [[0, 0]]
