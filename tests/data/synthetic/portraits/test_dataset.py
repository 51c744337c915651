"""A set of portraits: the layout, the truth, the bytes, and whole or not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multitask.data.sources.competition import CompetitionSettings
from multitask.data.synthetic.layout import true_class
from multitask.data.synthetic.portraits import Request, make_set
from multitask.data.synthetic.portraits import dataset as module
from multitask.data.synthetic.portraits.face import INCORRECT
from multitask.errors import UserError
from tests.data.sources.test_competition import SPACE
from tests.data.synthetic.test_dataset import bytes_of, rows_of

Table = Callable[..., Path]
STEMS = {"mask1", "mask2", "mask3", "mask4", "mask5", "incorrect_mask", "normal"}


def request_of(table: Path, masks: Path, **changes: Any) -> Request:
    return replace(Request(table, masks, size=(60, 80)), **changes)


class TestLayout:
    @pytest.fixture
    def root(self, table: Table, masks: Path, tmp_path: Path) -> Path:
        made = make_set(tmp_path / "set", request_of(table(), masks, people=4, eval_people=2, seed=1))
        assert (made.num_people, made.num_eval_people, made.num_images, made.num_eval_images) == (4, 2, 28, 14)
        assert made.faceless == ()
        return tmp_path / "set"

    def test_nothing_but_the_layout(self, root: Path) -> None:
        files = bytes_of(root)
        images = {name for name in files if name.startswith(("train/images/", "eval/images/"))}
        tables = {"train/train.csv", "eval/info.csv", "answers.csv", "portraits.csv", "skipped.csv", "synth.json"}
        assert set(files) - images == tables
        assert len(images) == 42

    def test_the_competition_source_reads_it(self, root: Path) -> None:
        assert len(CompetitionSettings().samples(root, SPACE)) == 28
        assert len(CompetitionSettings().queries(root).ids) == 14
        assert len(CompetitionSettings().answered(root, SPACE)) == 14

    def test_rows_and_images_of_a_person(self, root: Path) -> None:
        assert (root / "train/train.csv").read_text().splitlines()[0] == "id,gender,race,age,path"
        for row in rows_of(root / "train/train.csv"):
            assert row["path"] == f"{row['id']}_{row['gender']}_{row['race']}_{row['age']}"
            images = list((root / "train/images" / row["path"]).iterdir())
            assert Counter(image.stem for image in images) == Counter(STEMS)
            for image in images:
                with Image.open(image) as opened:
                    assert (opened.size, opened.mode) == ((60, 80), "RGB")

    def test_answers_are_those_of_the_portraits(self, root: Path, table: Table) -> None:
        people = {row["path"]: row for row in rows_of(table())}
        origins = {row["person"]: row for row in rows_of(root / "portraits.csv")}
        assert len({row["portrait"] for row in origins.values()}) == 6  # nobody both trains and is in eval
        for row in rows_of(root / "train/train.csv"):
            person = people[origins[row["path"]]["portrait"]]
            assert (row["gender"], row["age"]) == (person["gender"], person["age"])
        answers = rows_of(root / "answers.csv")
        assert [row["ImageID"] for row in answers] == [row["ImageID"] for row in rows_of(root / "eval/info.csv")]
        classes: dict[str, list[int]] = {}
        for row in answers:
            classes.setdefault(row["group"], []).append(int(row["ans"]))
        for group, found in classes.items():
            person = people[origins[group]["portrait"]]
            expected = [true_class(mask, person["gender"], int(person["age"])) for _, mask in module.IMAGES]
            assert sorted(found) == sorted(expected)


class TestMasks:
    def test_each_state_shows(self, table: Table, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """How much of the forehead, the nose and the mouth is bare in each image."""
        monkeypatch.setattr(module, "DYES", ((0, 0, 255),))
        root = tmp_path / "set"
        make_set(root, request_of(table(4), masks, people=16, eval_people=1, size=(120, 160)))
        for row in rows_of(root / "portraits.csv")[:16]:
            incorrect = row["incorrect"]
            for path in (root / "train/images" / row["person"]).iterdir():
                with Image.open(path) as image:
                    pixels = np.asarray(image.convert("RGB")).astype(int)
                height, width = pixels.shape[:2]
                # The eyes at about .4 of the height, and the mouth .2 below them; see framing.
                skin_like = (pixels[..., 0] > 150) & (pixels[..., 2] > 90)
                middle = skin_like[:, width // 2 - 6 : width // 2 + 6].mean(axis=1)
                forehead, nose, mouth = (middle[round(at * height)] for at in (0.3, 0.5, 0.64))
                expected = {
                    "normal": (1, 1, None),
                    "incorrect_mask": {
                        "below_nose": (1, 1, 0), "under_chin": (1, 1, None), "over_eyes": (0, 1, None)
                    }[incorrect],
                }.get(path.stem, (1, 0, 0))  # fmt: skip
                for found, want in zip((forehead, nose, mouth), expected, strict=True):
                    assert want is None or abs(found - want) < 0.5, (path, incorrect)

    def test_all_wrong_ways_occur(self, table: Table, masks: Path, tmp_path: Path) -> None:
        make_set(tmp_path / "set", request_of(table(4), masks, eval_people=1, size=(32, 40)))
        ways = Counter(row["incorrect"] for row in rows_of(tmp_path / "set" / "portraits.csv"))
        assert set(ways) == set(INCORRECT)


class TestSameAgain:
    def test_workers_do_not_matter_and_seeds_do(self, table: Table, masks: Path, tmp_path: Path) -> None:
        request = request_of(table(), masks, seed=5)
        for name, other in (
            ("one", request),
            ("four", replace(request, workers=4)),
            ("seed", replace(request, seed=6)),
        ):
            make_set(tmp_path / name, other)
        one, four, seed = (bytes_of(tmp_path / name) for name in ("one", "four", "seed"))
        assert one == four
        assert not {v for k, v in one.items() if "/images/" in k} & {v for k, v in seed.items() if "/images/" in k}

    def test_an_empty_folder_is_filled(self, table: Table, masks: Path, tmp_path: Path) -> None:
        (tmp_path / "set").mkdir()
        make_set(tmp_path / "set", request_of(table(), masks))
        assert (tmp_path / "set" / "answers.csv").is_file()


class TestFaceless:
    @staticmethod
    def blind(rows: list[dict[str, Any]]) -> None:
        for column in list(rows[0])[3:]:
            rows[2][column] = ""

    def test_they_are_named_and_the_others_made(self, table: Table, masks: Path, tmp_path: Path) -> None:
        made = make_set(tmp_path / "set", request_of(table(change=self.blind), masks, eval_people=1))
        assert (made.num_people, made.num_eval_people, made.faceless) == (4, 1, ("002.png",))
        assert (tmp_path / "set" / "skipped.csv").read_text() == "portrait\n002.png\n"

    @pytest.mark.parametrize(("others", "more"), [((), ""), ((3,), r" \(nor in 1 more\)")])
    def test_or_refused(self, table: Table, masks: Path, tmp_path: Path, others: tuple[int, ...], more: str) -> None:
        def blind(rows: list[dict[str, Any]]) -> None:
            self.blind(rows)
            for row in others:
                rows[row] |= dict.fromkeys(list(rows[row])[3:], "")

        request = request_of(table(change=blind), masks, strict=True)
        with pytest.raises(UserError, match=rf"00[23]\.png: no face is seen from the front{more}$"):
            make_set(tmp_path / "set", request)
        assert not (tmp_path / "set").exists()


def test_progress_ends_at_what_was_announced(table: Table, masks: Path, tmp_path: Path) -> None:
    stages: list[tuple[str, int, list[int]]] = []

    def stage(name: str, total: int, unit: str) -> Callable[[int], None]:
        stages.append((name, total, []))
        return stages[-1][2].append

    request = request_of(table(2, change=TestFaceless.blind), masks, people=9)
    make_set(tmp_path / "set", request, stage)
    assert [(name, total, done[-1]) for name, total, done in stages] == [
        ("finding faces", 11, 11), ("putting masks on", 11, 11)
    ]  # fmt: skip


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"people": 0}, "--people: must be from 1"),
            ({"people": 10**6}, "--people: must be from 1 to 100000, found 1000000"),
            ({"eval_people": 0}, "--eval-people: must be from 1"),
            ({"seed": -1}, "--seed"),
            ({"workers": 0}, "--workers"),
            ({"size": (16, 80)}, "--size: must be from 32 to 4096, found 16"),
            ({"size": (60, 9000)}, "--size: must be from 32 to 4096, found 9000"),
            ({"mix": (1.0,) * 6}, "--mix: needs --people"),
            ({"people": 9}, r"must have 9 people to train on and 2 in eval, found 6$"),
            ({"eval_people": 6}, "found 6"),
        ],
    )
    def test_numbers(self, table: Table, masks: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(UserError, match=message):
            make_set(tmp_path / "set", request_of(table(), masks, **changes))
        assert not list(tmp_path.glob("*set*"))

    def test_a_folder_with_something_in_it(self, table: Table, masks: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="already exists"):
            make_set(masks, request_of(table(), masks))

    def test_nothing_is_left_of_what_was_stopped(
        self, table: Table, masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stop(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(module, "_write_tables", stop)
        with pytest.raises(KeyboardInterrupt):
            make_set(tmp_path / "set", request_of(table(), masks, workers=2))
        assert not list(tmp_path.glob("*set*"))

    def test_an_image_that_is_none(self, table: Table, masks: Path, tmp_path: Path) -> None:
        path = table()
        (path.parent / "003.png").write_bytes(b"no image")
        with pytest.raises(UserError, match=r"003\.png: cannot be read as an image"):
            make_set(tmp_path / "set", request_of(path, masks))
        assert not list(tmp_path.glob("*set*"))
