"""The drawn set: its layout to the file, its truth, its bytes, and that it is whole or not there."""

from __future__ import annotations

import csv
import errno
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multitask.data.synthetic import DrawnSet, draw_set
from multitask.data.synthetic import dataset as folder
from multitask.data.synthetic.drawing import MASK_STATES, draw_portrait
from multitask.data.synthetic.layout import true_class
from multitask.data.synthetic.pen import HEIGHT_PX, WIDTH_PX
from multitask.data.synthetic.people import Person, gender_and_age, invent_person
from multitask.errors import UserError

STEMS = {"mask1", "mask2", "mask3", "mask4", "mask5", "incorrect_mask", "normal"}
EXTENSIONS = {".jpg", ".jpeg", ".png"}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def bytes_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnSet:
    return draw_set(tmp_path_factory.mktemp("drawn") / "set", people=16, seed=3, noise=0.25)


class TestLayout:
    def test_nothing_but_the_layout(self, drawn: DrawnSet) -> None:
        files = bytes_of(drawn.root)
        images = {name for name in files if Path(name).suffix in EXTENSIONS}
        tables = {"train/train.csv", "eval/info.csv", "answers.csv", "noise.csv", "synth.json"}
        assert set(files) - images == tables
        assert all(name.startswith(("train/images/", "eval/images/")) for name in images)

    def test_train_table_and_folders(self, drawn: DrawnSet) -> None:
        text = (drawn.root / "train/train.csv").read_text()
        assert text.splitlines()[0] == "id,gender,race,age,path"
        rows = rows_of(drawn.root / "train/train.csv")
        assert len(rows) == drawn.num_people == 16
        assert len({row["id"] for row in rows}) == 16
        for row in rows:
            assert row["path"] == f"{row['id']}_{row['gender']}_{row['race']}_{row['age']}"
            assert row["gender"] in {"male", "female"}
            assert 18 <= int(row["age"]) <= 75
            images = list((drawn.root / "train/images" / row["path"]).iterdir())
            assert Counter(image.stem for image in images) == Counter(STEMS)
            assert {image.suffix for image in images} <= EXTENSIONS
        assert {p.name for p in (drawn.root / "train/images").iterdir()} == {row["path"] for row in rows}
        assert drawn.num_images == 16 * 7

    def test_eval_table_and_images(self, drawn: DrawnSet) -> None:
        assert (drawn.root / "eval/info.csv").read_text().splitlines()[0] == "ImageID,ans"
        rows = rows_of(drawn.root / "eval/info.csv")
        names = [row["ImageID"] for row in rows]
        assert len(set(names)) == len(names) == drawn.num_eval_images == drawn.num_eval_people * 7 == 4 * 7
        assert all(re.fullmatch(r"[0-9a-f]{40}\.(jpg|jpeg|png)", name) for name in names)
        assert {row["ans"] for row in rows} == {"0"}
        assert {path.name for path in (drawn.root / "eval/images").iterdir()} == set(names)

    def test_every_image_opens_in_its_size_and_format(self, drawn: DrawnSet) -> None:
        for path in [*drawn.root.glob("train/images/*/*"), *drawn.root.glob("eval/images/*")]:
            with Image.open(path) as image:
                image.load()
                assert image.size == (WIDTH_PX, HEIGHT_PX) == (192, 256)
                assert image.mode == "RGB"
                assert image.format == ("PNG" if path.suffix == ".png" else "JPEG")

    def test_extensions_are_mixed_even_inside_a_folder(self, drawn: DrawnSet) -> None:
        folders = [[p.suffix for p in person.iterdir()] for person in (drawn.root / "train/images").iterdir()]
        counts = Counter(suffix for folder in folders for suffix in folder)
        assert set(counts) == EXTENSIONS
        assert counts[".jpg"] > 0.7 * counts.total()
        assert any(len(set(folder)) > 1 for folder in folders)

    def test_record_of_the_arguments(self, drawn: DrawnSet) -> None:
        record = json.loads((drawn.root / "synth.json").read_text())
        version = record.pop("drawing_version")
        assert record == {"people": 16, "eval_people": 4, "seed": 3, "noise": 0.25}
        assert version == folder.DRAWING_VERSION

    @pytest.mark.parametrize(("people", "expected"), [(1, 1), (5, 1), (6, 2)])
    def test_a_quarter_as_many_eval_people(
        self, people: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(folder, "draw_portrait", lambda *_: np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8))
        assert draw_set(tmp_path / "set", people=people).num_eval_people == expected
        assert draw_set(tmp_path / "told", people=people, eval_people=3).num_eval_people == 3


class TestTruth:
    def test_noise_is_recorded_and_nothing_else_is_wrong(self, drawn: DrawnSet, tmp_path: Path) -> None:
        assert (drawn.root / "noise.csv").read_text().splitlines()[0] == "path,field,from,to"
        noise = {row["path"]: row for row in rows_of(drawn.root / "noise.csv")}
        assert len(noise) == drawn.num_wrong_labels == round(0.25 * 16)
        written = rows_of(drawn.root / "train/train.csv")
        true = rows_of(draw_set(tmp_path / "true", people=16, seed=3).root / "train/train.csv")
        for one, other in zip(written, true, strict=True):
            assert (one["id"], one["age"]) == (other["id"], other["age"])
            if one["path"] in noise:
                row = noise.pop(one["path"])
                assert (row["field"], row["from"], row["to"]) == ("gender", other["gender"], one["gender"])
                assert row["from"] != row["to"]
            else:
                assert one == other
        assert not noise

    def test_noise_leaves_images_and_answers_alone(self, drawn: DrawnSet, tmp_path: Path) -> None:
        true = draw_set(tmp_path / "true", people=16, seed=3)
        assert (true.root / "noise.csv").read_text() == "path,field,from,to\n"
        assert true.num_wrong_labels == 0
        noisy, clean = bytes_of(drawn.root), bytes_of(true.root)
        for part in ("eval/", "answers.csv"):
            assert {k: v for k, v in noisy.items() if k.startswith(part)} == {
                k: v for k, v in clean.items() if k.startswith(part)
            }
        images = [[v for k, v in sorted(found.items()) if k.startswith("train/images/")] for found in (noisy, clean)]
        # The planted gender is in the folder's name, so the order may differ, the images not.
        assert sorted(images[0]) == sorted(images[1])

    def test_answers_are_what_was_drawn(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # Each image is painted in its true class, so that the answers can be read off the images.
        def paint(person: Person, mask: str, _: np.random.Generator) -> np.ndarray:
            band = 0 if person.age < 30 else 1 if person.age < 60 else 2
            code = {"worn": 0, "incorrect": 1, "none": 2}[mask] * 6 + {"male": 0, "female": 1}[person.gender] * 3 + band
            return np.full((HEIGHT_PX, WIDTH_PX, 3), code * 10, np.uint8)

        monkeypatch.setattr(folder, "draw_portrait", paint)
        root = draw_set(tmp_path / "set", people=4, eval_people=60).root
        info, answers = rows_of(root / "eval/info.csv"), rows_of(root / "answers.csv")
        assert [row["ImageID"] for row in answers] == [row["ImageID"] for row in info]
        for row in answers:
            with Image.open(root / "eval/images" / row["ImageID"]) as image:
                assert round(np.asarray(image).mean() / 10) == int(row["ans"])
        assert {int(row["ans"]) for row in answers} == set(range(18))
        people = Counter(row["group"] for row in answers)
        assert len(people) == 60
        assert set(people.values()) == {7}

    def test_eval_order_is_shuffled(self, drawn: DrawnSet) -> None:
        rows = rows_of(drawn.root / "answers.csv")
        per_person = [{int(row["ans"]) % 6 for row in rows[i : i + 7]} for i in range(0, len(rows), 7)]
        assert any(len(labels) > 1 for labels in per_person)
        assert [row["ImageID"] for row in rows] != sorted(row["ImageID"] for row in rows)

    @pytest.mark.parametrize(
        ("mask", "gender", "age", "expected"),
        [("worn", "male", 29, 0), ("worn", "male", 30, 1), ("worn", "female", 60, 5), ("incorrect", "male", 59, 7),
         ("incorrect", "female", 18, 9), ("none", "male", 75, 14), ("none", "female", 60, 17)],
    )  # fmt: skip
    def test_true_class(self, mask: str, gender: str, age: int, expected: int) -> None:
        assert true_class(mask, gender, age) == expected

    def test_train_and_eval_are_different_people(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        people = []
        monkeypatch.setattr(folder, "invent_person", lambda *a: people.append(invent_person(*a)) or people[-1])
        monkeypatch.setattr(folder, "draw_portrait", lambda *_: np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8))
        draw_set(tmp_path / "set", people=20, eval_people=20)
        assert len(set(people)) == 40


class TestSameAgain:
    def test_same_arguments_same_bytes(self, drawn: DrawnSet, tmp_path: Path) -> None:
        again = draw_set(tmp_path / "again", people=16, seed=3, noise=0.25)
        assert bytes_of(again.root) == bytes_of(drawn.root)

    def test_another_seed_differs_everywhere(self, drawn: DrawnSet, tmp_path: Path) -> None:
        other = draw_set(tmp_path / "other", people=16, seed=4, noise=0.25)
        one, two = bytes_of(drawn.root), bytes_of(other.root)
        assert not set(one.values()) & set(two.values())
        assert one["train/train.csv"] != two["train/train.csv"]

    def test_another_seed_has_another_person_of_the_same_age(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(folder, "gender_and_age", lambda *_: ("male", 40))
        one, two = (bytes_of(draw_set(tmp_path / str(seed), people=1, seed=seed).root) for seed in (0, 1))
        images = [{v for k, v in found.items() if "/images/" in k} for found in (one, two)]
        assert len(images[0]) == len(images[1]) == 14
        assert not images[0] & images[1]

    def test_more_people_leave_the_others_as_they_are(self, tmp_path: Path) -> None:
        few = bytes_of(draw_set(tmp_path / "few", people=2, eval_people=1).root)
        many = bytes_of(draw_set(tmp_path / "many", people=3, eval_people=2).root)
        images = {name: found for name, found in few.items() if "/images/" in name}
        assert len(images) == 21
        assert all(many[name] == found for name, found in images.items())

    def test_images_of_a_person_differ(self, drawn: DrawnSet) -> None:
        found = [path.read_bytes() for path in drawn.root.glob("train/images/*/*")]
        assert len(set(found)) == len(found)


class TestPeople:
    def test_every_band_and_gender_is_well_populated(self) -> None:
        sample = [gender_and_age(person, (0.3, 0.8)) for person in range(1000)]
        bands = Counter((gender, 0 if age < 30 else 1 if age < 60 else 2) for gender, age in sample)
        for gender in ("male", "female"):
            for band, share in enumerate((0.20, 0.19, 0.11)):
                assert bands[gender, band] / 1000 == pytest.approx(share, abs=0.02)
        assert {age for _, age in sample} == set(range(18, 76))

    def test_a_small_set_has_all_six(self) -> None:
        for offset in np.random.default_rng(0).random((50, 2)):
            sample = {(g, (a >= 30) + (a >= 60)) for g, a in (gender_and_age(i, tuple(offset)) for i in range(40))}
            assert len(sample) == 6

    def test_every_trait_can_be_drawn(self) -> None:
        rng = np.random.default_rng(0)
        styles, beards, clothes, glasses, backdrops = set(), set(), set(), set(), set()
        for i in range(400):
            person = invent_person(*gender_and_age(i, (0.1, 0.2)), rng)
            new = {person.hair_style} - styles | {person.beard} - beards | {person.clothes} - clothes
            new |= {person.glasses} - glasses | {person.backdrop} - backdrops
            styles.add(person.hair_style)
            beards.add(person.beard)
            clothes.add(person.clothes)
            glasses.add(person.glasses)
            backdrops.add(person.backdrop)
            if new:
                for mask in MASK_STATES:
                    image = draw_portrait(person, mask, rng)
                    assert image.shape == (HEIGHT_PX, WIDTH_PX, 3)
                    assert image.dtype == np.uint8
        assert styles == {"short", "crop", "bald", "long", "bob", "bun", "tail", "curly"}
        assert beards == {"none", "stubble", "moustache", "goatee", "full"}
        assert clothes == {"tee", "shirt", "suit", "vneck", "hoodie", "turtle"}
        assert glasses == {"none", "round", "square", "half"}
        assert backdrops == {"plain", "bokeh", "stripes", "window", "shelves", "hills"}

    def test_traces_lean_but_do_not_settle(self) -> None:
        rng = np.random.default_rng(0)
        men, women = ([invent_person(gender, 40, rng) for _ in range(400)] for gender in ("male", "female"))
        long = {"long", "bob", "bun", "tail"}
        for trace, low, high in (
            (lambda p: p.hair_style in long, 0.04, 0.96), (lambda p: p.lashes, 0.02, 0.95),
            (lambda p: p.brow_px < 4.2, 0.01, 0.995), (lambda p: p.lip_px > 6.0, 0.01, 0.98),
        ):  # fmt: skip
            of_men, of_women = np.mean([trace(p) for p in men]), np.mean([trace(p) for p in women])
            assert low < of_men < 0.3
            assert 0.7 < of_women < high
        young, old = ([invent_person("male", age, rng) for _ in range(200)] for age in (22, 70))
        assert np.mean([p.forehead[0] for p in old]) > 0.9 > 0.2 > np.mean([p.forehead[0] for p in young])
        edge = [invent_person("male", 30, rng).forehead[0] for _ in range(200)]
        assert np.std(edge) > 0.15  # thirty is not a step


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"people": 0}, "--people: must be from 1 to 100000, found 0"),
            ({"people": 4, "eval_people": 0}, "--eval-people: must be from 1 to 100000, found 0"),
            ({"people": 4, "seed": -1}, "--seed: must be from 0 to 9223372036854775807, found -1"),
            ({"people": 10**7}, "--people: must be from 1 to 100000, found 10000000"),
            ({"people": 4, "seed": 2**63}, "--seed: must be from 0 to 9223372036854775807, found 9223372036854775808"),
            ({"people": 4, "noise": -0.1}, "--noise: must be a fraction from 0 to 1, found -0.1"),
            ({"people": 4, "noise": 1.5}, "--noise: must be a fraction from 0 to 1, found 1.5"),
            ({"people": 4, "noise": float("nan")}, "--noise: must be a fraction from 0 to 1, found nan"),
        ],
    )
    def test_arguments(self, arguments: dict[str, float], message: str, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
            draw_set(tmp_path / "set", **arguments)  # type: ignore[arg-type]
        assert not list(tmp_path.iterdir())

    def test_a_folder_with_something_in_it_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(UserError, match=f"^{re.escape(str(tmp_path))} already exists; choose another folder$"):
            draw_set(tmp_path, people=1)
        with pytest.raises(UserError, match="already exists"):
            draw_set(tmp_path / "mine.txt", people=1)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    def test_an_empty_folder_is_filled(self, tmp_path: Path) -> None:
        before = tmp_path.stat().st_ino
        draw_set(tmp_path, people=1)
        assert tmp_path.stat().st_ino == before
        assert {p.name for p in tmp_path.iterdir()} == {"train", "eval", "answers.csv", "noise.csv", "synth.json"}

    @pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
    @pytest.mark.parametrize("place", ["set", "deep/er/set", "."])
    def test_a_drawing_that_fails_leaves_nothing(
        self, error: type[BaseException], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left = iter(range(10))
        seen = []

        def paint(*arguments: object) -> np.ndarray:
            seen.extend(tmp_path.rglob("*.jpg"))
            if next(left, None) is None:
                raise error("the disk is full")
            return np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)

        monkeypatch.setattr(folder, "draw_portrait", paint)
        with pytest.raises(error):
            draw_set(tmp_path / place, people=3)
        assert seen  # it was halfway
        assert not list(tmp_path.iterdir())

    def test_progress(self, tmp_path: Path) -> None:
        calls: list[tuple[int, int]] = []
        root = tmp_path / "set"

        def on_person(done: int, total: int) -> None:
            assert not root.exists()  # nothing stands in place before all of it does
            calls.append((done, total))

        draw_set(root, people=2, eval_people=1, on_person=on_person)
        assert calls == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("method", ["write_bytes", "write_text"])
def test_a_full_disk_is_told_with_the_file(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *args: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # which is how a write fails: without a name

    monkeypatch.setattr(Path, method, full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        draw_set(tmp_path / "set", people=1, seed=0)
    assert str(caught.value.filename).startswith(str(tmp_path))
    assert not list(tmp_path.iterdir())
