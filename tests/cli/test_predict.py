"""``multitask predict`` of any paths: every option, and what is wrong in one line."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from multitask.testing import tiny_run

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("predict"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with images in ``photos``, a table and a list of them."""
    for number, name in enumerate(("a.jpg", "b.jpg", "sub/c.png")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 50), (80 * number,) * 3).save(path)
    (tmp_path / "photos/t.csv").write_text("file,who\nb.jpg,x\na.jpg,y\nb.jpg,x\n")
    (tmp_path / "list.txt").write_text("photos/b.jpg\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text().splitlines()))


def test_paths_of_every_kind_are_answered(call: Call, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"photos/sub/c.png\n")))
    paths = ["photos", "photos/b.jpg", "list.txt", "photos/*.jpg", "photos/t.csv", "-"]
    done = call("predict", trained, *paths, "--path-column", "file", "-o", "out.csv")
    assert done.code == 0, done.err
    of_folder = ["photos/a.jpg", "photos/b.jpg", "photos/sub/c.png"]
    found = [row["image"] for row in read("out.csv")]
    assert found == [
        *of_folder,
        "photos/b.jpg",
        "photos/b.jpg",
        *of_folder[:2],
        "b.jpg",
        "a.jpg",
        "b.jpg",
        of_folder[2],
    ]
    assert list(read("out.csv")[0]) == [
        "image", "mask", "gender", "age", "class", "p(mask)", "p(gender)", "p(age)", "p(class)",
    ]  # fmt: skip
    assert "photos: 1 file is no image by the suffix (1 .csv)" in done.out
    assert done.out.splitlines()[-1].startswith("out.csv: 11 images, in ")


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_every_format_with_probabilities_and_groups(call: Call, trained: Path, suffix: str) -> None:
    options = ["--probabilities", "--group-column", "who", "--path-column", "file", "--batch-size", 2, "-q"]
    done = call("predict", trained, "photos/t.csv", "-o", f"out{suffix}", *options)
    assert (done.code, done.out, done.err) == (0, "", "")
    path = Path(f"out{suffix}")
    if suffix in (".csv", ".parquet"):
        table = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
        assert table["group"].tolist() == ["x", "y", "x"]
        assert table.filter(like="p(class=").sum(axis=1).tolist() == pytest.approx([1, 1, 1], abs=1e-4)
    else:
        text = path.read_text()
        rows = json.loads(text) if suffix == ".json" else [json.loads(line) for line in text.splitlines()]
        assert [row["group"] for row in rows] == ["x", "y", "x"]
        assert sum(rows[0]["class_probs"].values()) == pytest.approx(1, abs=1e-4)
        assert rows[0]["labels"].keys() == rows[0]["probs"].keys() == {"mask", "gender", "age"}


def test_groups_by_folder_are_a_column(call: Call, trained: Path) -> None:
    assert call("predict", trained, "photos", "--groups-by-folder", "-o", "out.csv").code == 0
    assert [row["group"] for row in read("out.csv")] == ["photos", "photos", "photos/sub"]


def test_an_unreadable_image_fails_or_is_skipped_with_code_3(call: Call, trained: Path, here: Path) -> None:
    (here / "photos/b.jpg").write_bytes((here / "photos/a.jpg").read_bytes()[:300])
    (here / "out.csv").write_text("from before")
    assert call("predict", trained, "photos", "-o", "out.csv").refusal().startswith("photos/b.jpg: ")
    assert (here / "out.csv").read_text() == "from before"
    done = call("predict", trained, "photos", "-o", "out.csv", "--on-error", "skip")
    assert (done.code, done.err) == (3, "")
    assert "3 images, 1 of them unreadable, in " in done.out
    rows = read("out.csv")
    assert [bool(row["error"]) for row in rows] == [False, True, False]
    (here / "photos/c.png").symlink_to("c.png")  # links in a circle
    assert call("predict", trained, "photos", "-o", "out.csv", "--on-error", "skip").code == 3
    assert "c.png" in read("out.csv")[2]["image"]
    assert read("out.csv")[2]["error"]
    (here / "photos/c.png").unlink()
    assert [bool(row["class"]) for row in rows] == [True, False, True]
    assert sorted(path.name for path in here.iterdir()) == ["list.txt", "out.csv", "photos"]


def test_a_row_without_a_path_is_skipped_with_its_reason(call: Call, trained: Path, here: Path) -> None:
    (here / "some.csv").write_text("path,id\nphotos/a.jpg,1\n,2\n")
    assert call("predict", trained, "some.csv", "-o", "out.csv").refusal() == "some.csv, line 3: path: is empty"
    assert call("predict", trained, "some.csv", "-o", "out.csv", "--on-error", "skip").code == 3
    first, second = read("out.csv")
    assert first["class"]
    assert not first["error"]
    assert (second["image"], second["class"], second["error"]) == ("", "", "some.csv, line 3: path: is empty")


def test_an_image_of_too_many_pixels_is_named(call: Call, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multitask.data.image_file.MAX_PIXELS", 1_000)
    line = call("predict", trained, "photos", "-o", "out.csv").refusal()
    assert line.startswith("photos/a.jpg: ")
    assert "more than the limit of 1,000 pixels" in line


WRONG = {
    "no paths": ([], "name the images to answer"),
    "paths and data": (["photos", "--data", "photos"], "--data: it, too, says which images to answer"),
    "an option beside data": (["--data", "photos", "--probabilities"], "--probabilities: would be ignored"),
    "a path that is not there": (["nothere"], "nothere: no such file or folder"),
    "an empty folder": (["empty"], "empty: holds no"),
    "a table without the column": (["photos/t.csv"], "photos/t.csv: has no column 'path'"),
    "a list that is no text": (["latin.txt"], "latin.txt, line 1: is no UTF-8 text"),
    "an empty input": (["-"], "standard input: holds no paths"),
    "a pattern of nothing": (["*.png"], "*.png: there is no such file"),
    "an unknown suffix": (["photos", "-o", "out.xls"], "out.xls: must end in .csv"),
    "a folder that is not there": (["photos", "-o", "no/out.csv"], "no/out.csv: there is no folder no"),
    "what is read": (["t.csv", "-o", "t.csv"], "t.csv: is read"),
    "an unknown engine": (["photos", "--engine", "torhc"], "unknown engine 'torhc'; did you mean 'torch'"),
    "a precision of no engine": (["photos", "--precision", "bf16"], "--precision: is an engine's"),
    "a precision that an engine lacks": (
        ["photos", "--engine", "torch", "--precision", "int8"],
        "--precision: engine torch computes in the run's own",
    ),
    "another format than the layout's": (
        ["--data", "photos", "-o", "out.json"],
        "out.json: --data writes the CSV file",
    ),
    "columns without a table": (["photos", "--group-column", "who"], "--group-column: would be ignored"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line(
    case: str, call: Call, trained: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    (here / "empty").mkdir()
    (here / "latin.txt").write_bytes(b"\xe4.png\n")
    (here / "t.csv").write_text("path\nphotos/a.jpg\n")
    before = sorted(here.rglob("*"))
    words, beginning = WRONG[case]
    assert (
        call("predict", trained, *words, *([] if "-o" in words else ["-o", "out.csv"])).refusal().startswith(beginning)
    )
    assert sorted(here.rglob("*")) == before


def test_a_run_that_is_not_there_or_a_wrong_device_is_one_line(call: Call, trained: Path) -> None:
    assert call("predict", "nothere", "photos", "-o", "out.csv").refusal().startswith("nothere: no such run")
    assert "gpu" in call("predict", trained, "photos", "-o", "out.csv", "--device", "gpu").refusal()
    assert not Path("out.csv").exists()


_LIGHT = """
import sys
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from multitask.inference.engines import ENGINES, Engine, EngineSettings
from multitask.inference.spec import InferenceSpec

class Even(Engine):
    def __init__(self, spec):
        self.spec = spec

    def log_probs(self, images):
        return {task.name: np.full((len(images), len(task.classes)), -1.0) for task in self.spec.heads}

class EvenSettings(EngineSettings):
    name: Literal["even"] = "even"

    def open(self, path, device, allow_extensions):
        return Even(InferenceSpec.from_json(path.read_text(), str(path)))

ENGINES.register(EvenSettings)

from multitask.cli import main
sys.argv = ["multitask", *sys.argv[1:]]
try:
    main()
finally:
    heavy = ("torch", "torchvision", "timm", "albumentations", "cv2", "optuna", "pandas", "pyarrow", "scipy")
    print([name for name in heavy if name in sys.modules])
"""


def test_nothing_heavy_is_imported_where_the_engine_needs_nothing(trained: Path, here: Path) -> None:
    from multitask.inference.predictor import Predictor

    (here / "exported.even").write_text(Predictor.load(trained).spec.to_json())
    words = ["predict", "exported.even", "photos", "list.txt", "photos/t.csv", "--path-column", "file"]
    line = [sys.executable, "-c", _LIGHT, *words, "--engine", "even", "-o", "out.json"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(json.loads((here / "out.json").read_text())) == 7


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_sets_and_whom_to_ask_are_written(call: Call, trained: Path, here: Path, suffix: str) -> None:
    (here / "photos/broken.jpg").write_bytes(b"no image")
    options = ["--coverage", 0.7, "--max-risk", 0.1, "--on-error", "skip", "--batch-size", 1]
    done = call("predict", trained, "photos", "-o", f"out{suffix}", *options)
    assert done.code == 3, done.err
    assert "max risk 0.1: no confidence is proven to keep it" in " ".join(done.out.split())
    if suffix == ".json":
        rows = json.loads(Path("out.json").read_text())
        assert [row["ask"] for row in rows] == [True, True, None, True]
        assert rows[2]["sets"] is None
        assert list(rows[0]["sets"]) == ["mask", "gender", "age", "class"]
        assert all(label in ("male", "female") for label in rows[0]["sets"]["gender"])
    else:
        table = pd.read_csv("out.csv") if suffix == ".csv" else pd.read_parquet("out.parquet")
        assert table["ask"].fillna("").tolist() == ["yes", "yes", "", "yes"]
        sets = table["set(gender)"].fillna("").tolist()
        assert sets[2] == ""
        assert set(sets[0].split(" | ")) <= {"male", "female"}
        assert all(table["class"][0].count("/") == name.count("/") for name in table["set(class)"][0].split(" | "))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--coverage", "0.99"], "coverage 0.99: needs 99 groups that validate and whose mask is known, and the run"),
        (["--coverage", "90"], "coverage: must be above 0 and below 1, found 90"),
        (["--sets", "aps"], "sets aps: would be ignored without a coverage; name one, as 0.9"),
        (["--max-risk", "0"], "max risk: must be above 0 and below 1, found 0"),
        (["--coverage", "0.9", "--data", "set"], "--coverage: would be ignored: it is for PATHs"),
    ],
)
def test_what_cannot_be_promised_is_a_line(call: Call, trained: Path, options: list[str], line: str) -> None:
    done = call("predict", trained, *([] if "--data" in options else ["photos"]), "-o", "out.csv", *options)
    assert done.code == 2
    assert line in " ".join(done.err.split())
    assert not Path("out.csv").exists()


def test_views_are_averaged_and_what_they_cannot_be_is_a_line(call: Call, trained: Path, here: Path) -> None:
    halves = Image.new("RGB", (40, 50))
    halves.paste((200, 120, 40), (0, 0, 15, 50))
    halves.save(here / "halves.png")
    for options, name in (([], "plain"), (["--views", "flip,shift", "--views-except", "age:flip"], "viewed")):
        assert call("predict", trained, "halves.png", "-o", f"{name}.csv", "--probabilities", *options).code == 0
    (plain,), (viewed,) = read("plain.csv"), read("viewed.csv")
    changed = {name for name in plain if name.startswith("p(") and plain[name] != viewed[name]}
    assert {"p(mask=wear)", "p(gender=male)"} <= changed
    done = call("predict", trained, "photos", "-o", "out.csv", "--views", "flop")
    assert (done.code, "views: unknown view 'flop'; did you mean 'flip'?" in done.err) == (2, True)
    done = call("predict", trained, "photos", "-o", "out.csv", "--views", "flip", "--coverage", 0.7)
    assert (done.code, "--views flip` writes it" in " ".join(done.err.split())) == (2, True)
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("photos", "--views", "flip"), ("--prior-shift", "--views")),
        (("--data", "."), ("--prior-shift", "--data")),
        (("photos",), ("--prior-shift", "not identifiable")),
    ],
)
def test_a_prior_that_cannot_be_estimated_is_one_line(
    call: Call, trained: Path, here: Path, words: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    run = trained if "--views" not in words else "nowhere"  # what the line itself says is refused before RUN is read
    done = call("predict", run, *words, "--prior-shift", "-q", "-o", "out.csv")
    line = done.refusal()
    for part in parts:
        assert part in line
    assert not (here / "out.csv").exists()
