"""Where images are kept, and that they are the same wherever that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multitask.config import Config
from multitask.data.crop import FaceSettings
from multitask.data.dataset import Dataset
from multitask.data.face_detector import FaceDetector
from multitask.data.image_store import ImageStore
from multitask.data.images import Preprocessing
from multitask.data.settings import DataSettings
from multitask.errors import UserError
from multitask.labels import LabelSpace, Task
from multitask.progress import Progress
from multitask.settings import validate
from multitask.utils.ranks import ranks
from tests.over_ranks import over_ranks

RED, BLUE = [250, 0, 0], [0, 0, 250]

MakeStore = Callable[..., ImageStore]


@pytest.fixture
def make(tiny: Callable[..., Config], tmp_path: Path) -> MakeStore:
    """Makes the store of the drawn set: ``make({"data.cache": "disk"})``."""

    def store(changes: dict[str, Any] | None = None, reuse: Path | None = None) -> ImageStore:
        config = tiny({"data.cache_dir": str(tmp_path / "kept"), "data.cache": "disk", **(changes or {})})
        dataset = Dataset.read(config.data, config.space(), config.seed)
        return ImageStore(config.data, dataset.samples, config.data.preprocessing(((0.5,) * 3, (0.5,) * 3)), reuse)

    return store


def files(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in folder.glob("*.npy"))


@pytest.mark.parametrize("cache", ["disk", "memory", "none"])
def test_images_are_the_same_wherever_they_are_kept(make: MakeStore, tmp_path: Path, cache: str) -> None:
    folder = {} if cache == "disk" else {"data.cache_dir": None}
    store = make({"data.cache": cache, **folder})
    chosen = np.array([5, 0, 83])
    taken = store.images(Progress()).take(chosen)
    for pixels, index in zip(taken, chosen, strict=True):
        np.testing.assert_array_equal(pixels, store.image(index, Progress()))
    assert store.images(Progress()) is store.images(Progress())
    assert files(tmp_path / "kept") == (["pixels"] if cache == "disk" else [])


@pytest.mark.parametrize(("cache", "expected"), [("auto", "disk"), ("memory", "disk"), ("none", "none")])
def test_a_folder_for_other_runs_is_used_where_images_would_be_kept_in_memory(
    make: MakeStore, tmp_path: Path, cache: str, expected: str
) -> None:
    store = make({"data.cache": cache, "data.cache_dir": None}, reuse=tmp_path / "reuse")
    assert store.cache == expected
    store.images(Progress())
    assert files(tmp_path / "reuse") == (["pixels"] if expected == "disk" else [])


def test_the_key_is_that_of_the_pixels(make: MakeStore) -> None:
    key = make().pixels_key(Progress())
    assert key == make({"data.cache": "none", "data.cache_dir": None}).pixels_key(Progress())
    assert key != make({"data.image_size": [24, 24]}).pixels_key(Progress())


def test_facts_are_those_of_the_images_asked_for(make: MakeStore) -> None:
    found = make().facts(np.arange(4), Progress())
    assert found.fit is not None
    assert found.crop is None
    assert found.first_frames is None


def test_boxes_that_the_source_does_not_have_are_missed(make: MakeStore) -> None:
    assert make().boxes(Progress()) is None
    with pytest.raises(UserError, match=r"^data\.crop\.name: is box, but the images in .* have no boxes"):
        make({"data.crop": "box"}).boxes(Progress())


class TestSourcesFramedEachInItsOwnWay:
    """Two tables of the same wide image, red on the left and blue on the right, of which each sees a half."""

    @pytest.fixture
    def tables(self, tmp_path: Path) -> Path:
        pixels = np.zeros((16, 32, 3), dtype=np.uint8)
        pixels[:, :16], pixels[:, 16:] = RED, BLUE
        for name in ("ones", "twos"):
            (tmp_path / name).mkdir()
            for image in "ab":
                Image.fromarray(pixels).save(tmp_path / name / f"{image}.png")
            rows = "a.png,x,16,0,32,16\nb.png,y,16,0,32,16\n" if name == "twos" else "a.png,x,,,,\nb.png,y,,,,\n"
            (tmp_path / name / "train.csv").write_text(f"path,kind,l,t,r,b\n{rows}")
        return tmp_path

    def data(self, tables: Path, crop: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        part = {"source": {"name": "table", "box": list("ltrb")}}
        sources = {
            "ones": {"root": str(tables / "ones"), **part},
            "twos": {"root": str(tables / "twos"), **part, "crop": crop or {"name": "centre", "left": 0.5}},
        }
        return {
            "source": {"name": "several", "target": "ones", "sources": sources},
            "crop": {"name": "centre", "right": 0.5},
            "image_size": [8, 8],
            "cache": "disk",
            "cache_dir": str(tables / "kept"),
            **changes,
        }

    def store(self, data: dict[str, Any]) -> ImageStore:
        settings = validate(DataSettings, data)
        samples = settings.source.samples(Path(), LabelSpace([Task("kind", ("x", "y"))]))
        return ImageStore(settings, samples, settings.preprocessing(((0.5,) * 3, (0.5,) * 3)))

    @pytest.mark.parametrize("cache", ["disk", "none"])
    @pytest.mark.parametrize("crop", [{"name": "centre", "left": 0.5}, {"name": "box"}], ids=lambda crop: crop["name"])
    def test_each_image_is_seen_as_its_source_says(self, tables: Path, cache: str, crop: dict[str, Any]) -> None:
        folder = {"cache_dir": None} if cache == "none" else {}
        store = self.store(self.data(tables, crop, cache=cache, **folder))
        taken = store.images(Progress()).take(np.arange(4))
        assert [image[4, 4].tolist() for image in taken] == [RED, RED, BLUE, BLUE]
        for index in range(4):
            np.testing.assert_array_equal(taken[index], store.image(index, Progress()))

    def test_images_to_be_answered_are_seen_as_the_targets(self, tables: Path) -> None:
        for target, expected in (("ones", RED), ("twos", BLUE)):
            data = self.data(tables)
            data["source"]["target"] = target
            preprocessing = validate(DataSettings, data).preprocessing(((0.5,) * 3, (0.5,) * 3))
            assert preprocessing.load(tables / "ones" / "a.png")[4, 4].tolist() == expected

    def test_what_is_kept_is_not_taken_for_what_is_framed_otherwise(self, tables: Path) -> None:
        keys = {
            self.store(self.data(tables, crop)).pixels_key(Progress())
            for crop in ({"name": "centre", "left": 0.5}, {"name": "centre", "left": 0.6}, {"name": "box"})
        }
        assert len(keys) == 3
        alike = self.store(self.data(tables, {"name": "centre", "right": 0.5})).pixels_key(Progress())
        data = self.data(tables)
        del data["source"]["sources"]["twos"]["crop"]
        assert alike == self.store(data).pixels_key(Progress())

    def test_the_fit_is_a_sources_own_too(self, tables: Path) -> None:
        data = self.data(tables)
        data["source"]["sources"]["twos"] |= {"crop": {"name": "none"}, "fit": "pad"}
        pixels = self.store(data).image(2, Progress())
        assert pixels[0, 0].tolist() == [255, 255, 255]
        assert (pixels[4, 1].tolist(), pixels[4, 6].tolist()) == (RED, BLUE)

    def test_facts_are_those_of_the_images_framed_as_answers_are(self, tables: Path) -> None:
        found = self.store(self.data(tables, {"name": "box"})).facts(np.arange(4), Progress())
        assert found.fit is not None
        assert found.fit.num_measured == 2
        assert found.crop is None

    def test_a_source_without_boxes_is_named(self, tables: Path) -> None:
        data = self.data(tables)
        data["source"]["sources"]["ones"]["crop"] = {"name": "box"}
        del data["crop"]
        with pytest.raises(UserError) as caught:
            self.store(data).images(Progress())
        where = tables / "ones"
        assert (
            str(caught.value) == f"data.source.sources.ones.crop.name: is box, but the images in {where} have no boxes"
        )

    def test_a_source_of_which_no_image_has_a_box_is_named_where_others_have_some(self, tables: Path) -> None:
        data = self.data(tables)
        for part in data["source"]["sources"].values():
            part.pop("crop", None)
        data["crop"] = {"name": "box"}
        with pytest.raises(
            UserError, match=rf"^data\.crop\.name: is box, but the images in {tables / 'ones'} have no boxes"
        ):
            self.store(data).images(Progress())

    def test_a_model_that_is_missing_is_named_by_its_own_key(self, tables: Path) -> None:
        with pytest.raises(UserError, match=r"^data\.source\.sources\.twos\.crop\.model: /no/yunet"):
            self.store(self.data(tables, {"name": "face", "model": "/no/yunet.onnx"}))

    def test_what_no_source_would_use_is_refused(self, tables: Path) -> None:
        data = self.data(tables, fit="pad")
        for part in data["source"]["sources"].values():
            part |= {"crop": {"name": "none"}, "fit": "pad"}
        with pytest.raises(UserError, match=r"^crop: would be ignored: each of the sources has one of its own$"):
            validate(DataSettings, data)
        del data["crop"]
        with pytest.raises(UserError, match=r"^fit: would be ignored"):
            validate(DataSettings, data)


def _corner(detector: FaceDetector, pixels: Any) -> Any:
    """In the place of a face: a box that the image's content decides."""
    return np.array([0.0, 0.0, 8.0 + pixels[0, 0, 0] % 8, 9.0 + pixels[-1, -1, 1] % 8])


class TestSeveralProcesses:
    @pytest.fixture
    def work(self, make: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
        """Reads all images, cropped to faces, in one of several processes: how many it decoded and looked at itself."""
        monkeypatch.setattr(FaceSettings, "detector", lambda self: FaceDetector(b"", "largest", 0.2, 224, "digest"))
        monkeypatch.setattr(FaceDetector, "find", _corner)

        def work(folder: Path, **changes: Any) -> tuple[int, int, bytes]:
            done: list[str] = []
            with pytest.MonkeyPatch.context() as patch:
                for name in ("load", "locate"):
                    whole = getattr(Preprocessing, name)

                    def counted(*args: Any, name: str = name, whole: Any = whole) -> Any:
                        done.append(name)
                        return whole(*args)

                    patch.setattr(Preprocessing, name, counted)
                crop = {"name": "face", "model": "yunet.onnx"}
                store = make({"data.crop": crop, "data.cache_dir": str(folder), **changes})
                images = store.images(Progress(), ranks() if ranks().size > 1 else None)
            return done.count("load"), done.count("locate"), images.take(np.arange(len(images))).tobytes()

        return work

    def test_each_decodes_its_share_and_the_files_are_those_of_one_to_the_byte(
        self, work: Callable[..., Any], tmp_path: Path
    ) -> None:
        loads, looks, pixels = work(tmp_path / "1")
        assert loads == looks == 84
        whole = {path.name: path.read_bytes() for path in (tmp_path / "1").glob("*.npy")}
        assert files(tmp_path / "1") == ["boxes", "pixels"]
        for size in (2, 4):
            found = over_ranks(size, lambda rank: work(tmp_path / str(size)))  # noqa: B023
            assert [sum(part) for part in zip(*[own[:2] for own in found], strict=True)] == [84, 84]
            assert max(own[0] for own in found) < 84 / size + 16
            assert all(own[2] == pixels for own in found)
            assert {path.name: path.read_bytes() for path in (tmp_path / str(size)).glob("*.npy")} == whole

    def test_in_memory_likewise_and_what_one_kept_is_taken(self, work: Callable[..., Any], tmp_path: Path) -> None:
        memory = {"data.cache": "memory", "data.cache_dir": None}
        loads, looks, pixels = work(tmp_path, **memory)
        assert (loads, looks) == (84, 84)
        found = over_ranks(2, lambda rank: work(tmp_path, **memory))
        assert [own[:2] for own in found] == [(48, 48), (36, 36)]
        assert all(own[2] == pixels for own in found)
        work(tmp_path / "kept")
        assert [own[:2] for own in over_ranks(2, lambda rank: work(tmp_path / "kept"))] == [(0, 0)] * 2

    @pytest.mark.parametrize("has_it", [None, 0, 1])
    def test_of_machines_with_a_disk_each_all_are_served(
        self, work: Callable[..., Any], tmp_path: Path, has_it: int | None
    ) -> None:
        pixels = [] if has_it is None else [work(tmp_path / str(has_it))[2]]
        found = over_ranks(2, lambda rank: work(tmp_path / str(rank)), local_size=1)
        assert len({*pixels, *(own[2] for own in found)}) == 1
        assert files(tmp_path / "0") == files(tmp_path / "1") == ["boxes", "pixels"]

    def test_what_one_of_them_finds_is_the_one_line_of_all_and_nothing_is_kept(
        self, work: Callable[..., Any], drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = Preprocessing.load

        def load(self: Preprocessing, path: Path, box: Any = None) -> Any:
            if path.stem == broken:
                raise UserError(f"{path.name}: cannot be read")
            return whole(self, path, box)

        paths = sorted((drawn / "train" / "images").rglob("*.jpg"))
        broken = paths[40].stem
        monkeypatch.setattr(Preprocessing, "load", load)
        found = over_ranks(2, lambda rank: work(tmp_path / "x"))
        assert sorted(found) == [f"UserError: {broken}.jpg: cannot be read", "exit 2"]
        assert files(tmp_path / "x") == ["boxes"]
