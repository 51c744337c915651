"""What is in folders: every image is used, or named and counted; links are followed inside the data root only."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from multitask.data.formats import SUFFIXES
from multitask.data.samples import Samples
from multitask.data.sources import CompetitionSettings, FoldersSettings, SeveralSettings, TableSettings
from multitask.data.sources.links import Links
from multitask.data.sources.listing import MAX_REVISITS, MAX_SNIFFED, list_images
from multitask.errors import UserError
from multitask.labels import LabelSpace, Task

SPACE = LabelSpace([Task("colour", ("red", "blue"))])


def add(root: Path, *images: str) -> None:
    for image in images:
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        (root / image).touch()


def read(root: Path, *, outside: bool = False) -> Samples:
    return FoldersSettings(pattern="{colour}", links_outside=outside).samples(root, SPACE)


def refused(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        read(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    add(tmp_path / "set", "train/red/1.png", "store/blue/1.png", "store/blue/2.png")
    add(tmp_path / "far", "1.png", "2.png", "3.png")
    return tmp_path / "set"


class TestLinks:
    def test_inside_the_root_they_are_followed(self, root: Path) -> None:
        (root / "train/blue").symlink_to("../store/blue")
        (root / "train/red/2.png").symlink_to(root / "store/blue/2.png")
        assert read(root).images.tolist() == [
            "train/blue/1.png",
            "train/blue/2.png",
            "train/red/1.png",
            "train/red/2.png",
        ]

    def test_out_of_the_root_by_a_setting_only(self, root: Path, tmp_path: Path) -> None:
        (root / "train/blue").symlink_to(tmp_path / "far")
        message = refused(root)
        assert message.startswith(f"{root / 'train/blue'}: is a link that leads out of the data root {root} (to ")
        assert "links_outside: true" in message
        assert len(read(root, outside=True)) == 4

    def test_a_file_out_of_the_root(self, root: Path, tmp_path: Path) -> None:
        (root / "train/red/2.png").symlink_to(tmp_path / "far/2.png")
        assert "red/2.png: is a link that leads out of the data root" in refused(root)
        assert len(read(root, outside=True)) == 2

    def test_the_root_may_be_a_link_itself(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(root)
        (root / "train/blue").symlink_to("../store/blue")
        assert len(read(tmp_path / "link")) == 3

    @pytest.mark.parametrize("target", ["nothing", "blue"])
    def test_to_nothing_or_in_a_circle_they_are_named(self, root: Path, target: str) -> None:
        (root / "train/blue").symlink_to(target)
        assert refused(root).endswith(f"train/blue: is a link that leads to nothing ({target}); mend or remove it")

    def test_back_to_a_folder_above_they_end(self, root: Path) -> None:
        (root / "train/red/again").symlink_to("..")
        (root / "train/red/self").symlink_to(".")
        samples = read(root)
        assert len(samples) == 1
        assert samples.notes == (
            f"{root / 'train'}: 2 links lead back to a folder above and are not followed, as red/again",
        )

    def test_twice_to_the_same_folder_is_told(self, root: Path) -> None:
        for name in ("blue", "red/more"):
            (root / "train" / name).symlink_to(root / "store/blue")
        found = list_images(root / "train", Links(root, False))
        assert len(found.images) == 5
        assert found.notes == (f"{root / 'train'}: 1 folder is there a second time by links: their images count twice",)

    def test_a_maze_of_links_has_an_end(self, root: Path) -> None:
        for one in range(12):
            (root / f"train/{one}").mkdir()
            for other in range(12):
                (root / f"train/{one}/{other}").symlink_to(f"../{other}")
        with pytest.raises(UserError, match="links lead to the same folders again and again"):
            list_images(root / "train", Links(root, False))
        assert MAX_REVISITS < 10_000

    def test_in_a_table(self, root: Path, tmp_path: Path) -> None:
        (root / "train/far").symlink_to(tmp_path / "far")
        (root / "train/near").symlink_to("../store")
        (root / "train/red/2.png").symlink_to(tmp_path / "far/2.png")
        table = root / "train.csv"
        for image, fault in {
            "train/near/blue/1.png": None,
            "train/far/1.png": "train/far",
            "train/red/2.png": "train/red/2.png",
        }.items():
            table.write_text(f"path,colour\n{image},red\n")
            (root / "queries.csv").write_text(f"path\n{image}\n")
            source = TableSettings(file="train.csv", query_file="queries.csv")
            for ask in (partial(source.samples, root, SPACE), partial(source.queries, root)):
                if fault is None:
                    ask()
                    continue
                with pytest.raises(UserError) as caught:
                    ask()
                assert str(caught.value).startswith(f"{root / fault}: is a link that leads out of the data root")
            outside = source.model_copy(update={"links_outside": True})
            assert len(outside.samples(root, SPACE)) == len(outside.queries(root).ids) == 1

    def test_in_the_competition(self, root: Path, tmp_path: Path) -> None:
        add(tmp_path / "far", "1.jfif")
        (root / "eval/images").mkdir(parents=True)
        (root / "eval/images/1.jfif").symlink_to(tmp_path / "far/1.jfif")
        (root / "eval/info.csv").write_text("ImageID,ans\n1.jfif,0\n")
        with pytest.raises(UserError, match=r"eval/images/1\.jfif: is a link that leads out of the data root"):
            CompetitionSettings().queries(root)
        assert len(CompetitionSettings(links_outside=True).queries(root).ids) == 1

    def test_in_what_is_asked(self, root: Path, tmp_path: Path) -> None:
        (root / "eval").symlink_to(tmp_path / "far")
        source = FoldersSettings(pattern="{colour}")
        with pytest.raises(UserError, match=r"set/eval: is a link that leads out of the data root"):
            source.queries(root)
        assert len(source.model_copy(update={"links_outside": True}).queries(root).ids) == 3

    def test_several_sources_have_a_setting_each(self) -> None:
        assert "links_outside" not in SeveralSettings.model_fields


class TestSuffixes:
    def test_all_that_can_be_opened_are_used_in_any_case(self, tmp_path: Path) -> None:
        for place, suffix in enumerate(sorted(SUFFIXES)):
            add(tmp_path, f"train/red/{place}{suffix}", f"train/red/{place}-upper{suffix.upper()}")
        samples = read(tmp_path)
        assert len(samples) == 2 * len(SUFFIXES) > 40
        assert samples.notes == ()
        assert samples.other_files == {}

    def test_images_that_cannot_be_opened_are_named_and_counted(self, root: Path) -> None:
        add(root, "train/red/1.HEIC", "train/red/2.heic", "train/red/3.svg", "train/Thumbs.db", "train/red/notes.txt")
        Image.new("RGB", (4, 4)).save(root / "train/red/nosuffix", "PNG")
        Image.new("RGB", (4, 4)).save(root / "train/red/1.jpg!d", "JPEG")
        samples = read(root)
        assert samples.images.tolist() == ["train/red/1.png"]
        start = f"{root / 'train'}: "
        assert samples.notes == (
            f"{start}2 files may be images and are not used (.heic), as red/1.HEIC; convert to PNG or JPEG",
            f"{start}1 file may be an image and is not used (.svg), as red/3.svg; convert to PNG or JPEG",
            f"{start}1 file may be an image and is not used (JPEG with the suffix .jpg!d), as red/1.jpg!d; give an "
            "image's suffix",
            f"{start}1 file may be an image and is not used (PNG with no suffix), as red/nosuffix; give an image's "
            "suffix",
        )
        assert samples.other_files == {".db": 1, ".txt": 1}

    def test_where_there_is_nothing_else_they_are_named_too(self, tmp_path: Path) -> None:
        add(tmp_path, "train/red/1.heic")
        message = refused(tmp_path)
        assert "train: holds no images (.jpg, .png" in message
        assert "1 file may be an image and is not used (.heic)" in message

    @pytest.mark.parametrize(
        ("names", "end"),
        [
            (
                ["a.tar", "b.tar", "c.json"],
                "; it has 2 .tar files: unpack them; WebDataset shards are also read as they",
            ),
            (["part/0.arrow"], "; it has 1 .arrow file: name the folder of a Hugging Face dataset to `multitask init`"),
            (["a.parquet"], "; it has 1 .parquet file: `multitask init` writes images in them to files; of a table"),
            (["a.csv"], ""),
        ],
    )
    def test_what_may_hold_them_is_named_with_a_way_to_come_by_them(
        self, tmp_path: Path, names: list[str], end: str
    ) -> None:
        add(tmp_path, *(f"train/{name}" for name in names))
        _, spellings, rest = refused(tmp_path).partition("and their other spellings)")
        assert spellings
        assert rest.startswith(end)
        assert bool(rest) == bool(end)

    def test_of_what_is_asked_they_are_named_too(self, root: Path) -> None:
        add(root, "eval/1.png", "eval/2.heic")
        queries = FoldersSettings(pattern="{colour}").queries(root)
        assert list(queries.ids) == ["1.png"]
        assert len(queries.notes) == 1

    def test_of_several_sources_they_are_added_up(self, root: Path, tmp_path: Path) -> None:
        add(tmp_path / "other", "train/blue/1.png", "train/1.txt", "train/2.heic")
        add(root, "train/1.txt", "train/1.db")
        source = {"name": "folders", "pattern": "{colour}"}
        several = SeveralSettings.model_validate(
            {
                "sources": {
                    "a": {"root": str(root), "source": source},
                    "b": {"root": str(tmp_path / "other"), "source": source},
                }
            }
        )
        samples = several.samples(tmp_path, SPACE)
        assert samples.other_files == {".txt": 2, ".db": 1}
        (note,) = samples.notes
        assert note.startswith("b: ")


class TestManyOthers:
    def test_captions_beside_images_hide_none_of_another_suffix(self, root: Path) -> None:
        for number in range(MAX_SNIFFED + 1):
            (root / f"train/red/{number}.txt").write_text("a red shirt")
        image = Image.new("RGB", (4, 4))
        for number in range(5):
            image.save(root / f"train/red/z{number}.img", format="PNG")
        listing = list_images(root, Links(root, False))
        assert any(note.startswith(f"{root}: 5 files may be images and are not used (PNG") for note in listing.notes)
        assert listing.others == {".txt": MAX_SNIFFED + 1}

    def test_all_of_a_suffix_that_images_have_are_counted(self, root: Path) -> None:
        content = io.BytesIO()
        Image.new("RGB", (4, 4)).save(content, format="PNG")
        for number in range(MAX_SNIFFED + 20):
            (root / f"train/red/{number}").write_bytes(content.getvalue())
        (note,) = list_images(root, Links(root, False)).notes
        assert note.startswith(f"{root}: {MAX_SNIFFED + 20:,} files may be images and are not used")

    def test_links_of_no_images_stop_nothing(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "far.txt").write_text("notes")
        (root / "train/notes.txt").symlink_to("nowhere.txt")
        (root / "train/other.txt").symlink_to(tmp_path / "far.txt")
        listing = list_images(root, Links(root, False))
        assert listing.notes == (f"{root}: 1 link leads to nothing, as train/notes.txt",)
        assert listing.others == {".txt": 1}
