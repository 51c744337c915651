from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multitask.config import Config
from multitask.data.crop import BoxSettings
from multitask.errors import UserError
from multitask.inference.engines import Engine
from multitask.inference.inputs import InputOptions, NamedInputs
from multitask.inference.predict_files import check_output, predict_files
from multitask.inference.predictor import Predictor
from multitask.inference.spec import InferenceSpec
from multitask.progress import Progress
from multitask.runs.cross_validation import run_folds
from multitask.runs.run import run

NAMES = [f"photos/{number}.png" for number in range(6)]


@pytest.fixture(autouse=True)
def here(add_images: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = add_images(*NAMES)
    monkeypatch.chdir(folder)
    return folder


def named(*paths: str, **options: Any) -> NamedInputs:
    return NamedInputs(paths, InputOptions(**options))


def read(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text().splitlines()))


class Recorded(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.total: int | None = -1
        self.done: list[int] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def answering(self, total: int | None) -> Callable[[int], None]:
        self.total = total
        return self.done.append


def test_a_row_for_each_image_in_their_order_with_progress_and_notes(shades: Predictor, here: Path) -> None:
    (here / "photos/read.me").touch()
    progress = Recorded()
    counts = predict_files(shades, named("photos", "photos/1.png"), Path("out.csv"), progress, batch_size=3)
    rows = read("out.csv")
    assert [row["image"] for row in rows] == [*NAMES, "photos/1.png"]
    assert [row["class"] for row in rows[:2]] == ["red/small", "red/medium"]
    assert rows[6] == rows[1]
    assert (progress.total, progress.done) == (7, [3, 6, 7])
    assert progress.notes == ["photos: 1 file is no image by the suffix (1 .me)"]
    assert (counts.images, counts.unreadable) == (7, 0)
    assert str(counts).startswith("7 images, in 0.")


def test_an_image_that_cannot_be_read_is_an_error_that_leaves_what_was_there(shades: Predictor, here: Path) -> None:
    (here / "photos/4.png").write_text("no image")
    (here / "out.csv").write_text("from before")
    with pytest.raises(UserError, match=r"photos/4\.png: .*not an image"):
        predict_files(shades, named("photos"), Path("out.csv"), Progress(), batch_size=2)
    assert (here / "out.csv").read_text() == "from before"
    assert sorted(path.name for path in here.iterdir()) == ["out.csv", "photos"]


def test_or_a_row_with_the_reason(shades: Predictor, here: Path) -> None:
    (here / "photos/4.png").write_text("no image")
    (here / "photos/gone.png").symlink_to("nowhere")
    counts = predict_files(
        shades, named("photos"), Path("out.csv"), Progress(), batch_size=2, skip_unreadable=True, probabilities=True
    )
    rows = {Path(row["image"]).name: row for row in read("out.csv")}
    assert (counts.images, counts.unreadable) == (7, 2)
    assert str(counts).startswith("7 images, 2 of them unreadable, in ")
    assert "not an image" in rows["4.png"].pop("error")
    assert rows["gone.png"].pop("error") == "no such file"
    assert {value for name in ("4.png", "gone.png") for value in list(rows[name].values())[1:]} == {""}
    assert rows["5.png"]["error"] == ""
    assert rows["5.png"]["class"] == "blue/large"
    assert rows["5.png"]["p(size=large)"] == "0.9"


@pytest.mark.parametrize("skip", [False, True])
def test_groups_are_answered_as_one_where_a_task_is_a_groups(shades: Predictor, here: Path, skip: bool) -> None:
    Path("table.csv").write_text(
        "path,who\n"
        + "".join(f"{name},{who}\n" for name, who in zip(NAMES, ["a", "b", "a", "b", "", "c"], strict=True))
    )
    if skip:
        (here / NAMES[1]).write_text("no image")
    options: dict[str, Any] = {"probabilities": True, "skip_unreadable": skip, "batch_size": 2}
    progress = Recorded()
    predict_files(shades, named("table.csv"), Path("single.csv"), progress, **options)
    grouped = Recorded()
    counts = predict_files(shades, named("table.csv", group_column="who"), Path("grouped.csv"), grouped, **options)
    assert (counts.images, counts.unreadable) == (6, int(skip))
    assert grouped.done == progress.done == [2, 4, 6]
    single, found = read("single.csv"), read("grouped.csv")
    assert [row["image"] for row in found] == NAMES
    assert [row["group"] for row in found] == ["a", "b", "a", "b", "", "c"]
    if skip:
        assert found[1]["error"] == single[1]["error"] != ""

    def small(row: dict[str, str]) -> float:
        return float(row["p(size=small)"])

    assert small(single[0]) != pytest.approx(small(single[2]))
    assert small(found[0]) == small(found[2]) == pytest.approx((small(single[0]) + small(single[2])) / 2, abs=1e-5)
    for row in [4, 5, *([3] if skip else [])]:  # alone
        assert {**found[row], "group": ""} == {**single[row], "group": ""}
    assert float(found[0]["p(colour=red)"]) == pytest.approx(float(single[0]["p(colour=red)"]), abs=1e-5)


def test_groups_of_a_run_that_answers_none_are_refused_before_anything_is_read(
    shade_spec: InferenceSpec, shades: Predictor
) -> None:
    shades.spec = shade_spec.model_copy(update={"grouping": None})
    with pytest.raises(UserError, match=r"^groups: would be ignored: shades answers no task for groups; "):
        predict_files(shades, named("photos", groups_by_folder=True), Path("out.csv"), Progress())
    assert not Path("out.csv").exists()


def test_an_image_that_cannot_be_read_stops_a_job_with_groups_at_once(shades: Predictor, here: Path) -> None:
    (here / NAMES[0]).write_text("no image")
    progress = Recorded()
    with pytest.raises(UserError, match=r"0\.png: "):
        predict_files(shades, named("photos", groups_by_folder=True), Path("out.csv"), progress, batch_size=1)
    assert progress.done == []
    assert not Path("out.csv").exists()


def test_groups_are_a_column(shades: Predictor) -> None:
    predict_files(shades, named("photos", groups_by_folder=True), Path("out.jsonl"), Progress())
    assert {json.loads(line)["group"] for line in Path("out.jsonl").read_text().splitlines()} == {"photos"}


def test_an_interrupt_leaves_nothing_and_reads_no_further(
    shades: Predictor, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    inputs = named("photos")

    def watched(self: NamedInputs) -> Iterator[Any]:
        for _ in range(100):
            for item in list(inputs._inputs[0]):
                taken.append(item.name)
                yield item

    def interrupted(images: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(NamedInputs, "__iter__", watched)
    monkeypatch.setattr(shades.engine, "log_probs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict_files(shades, inputs, Path("out.parquet"), Progress(), batch_size=2)
    assert [path.name for path in here.iterdir()] == ["photos"]
    assert len(taken) == 3 * 2


def boxed(predictor: Predictor) -> Predictor:
    engine: Engine = predictor.engine
    engine.spec = engine.spec.model_copy(update={"crop": BoxSettings()})
    return Predictor(engine)


def test_boxes_are_where_the_run_needs_them_and_nowhere_else(shades: Predictor, here: Path) -> None:
    (here / "t.csv").write_text("path,l,t,r,b\nphotos/1.png,0,0,6,6\nphotos/2.png,,,,\n")
    boxes = {"box_columns": ("l", "t", "r", "b")}
    with pytest.raises(UserError, match="--box-columns: would be ignored: the run's crop"):
        predict_files(shades, named("t.csv", **boxes), Path("out.csv"), Progress())
    with pytest.raises(UserError, match="--box-columns: the run crops each image to a box"):
        predict_files(boxed(shades), named("photos"), Path("out.csv"), Progress())
    assert not Path("out.csv").exists()
    predict_files(boxed(shades), named("t.csv", **boxes), Path("out.csv"), Progress())
    assert [row["class"] for row in read("out.csv")] == ["red/medium", "red/large"]
    (here / "t.csv").write_text("path,l,t,r,b\nphotos/1.png,50,50,60,60\n")
    with pytest.raises(UserError, match=r"photos/1\.png: its box .* is no part of"):
        predict_files(boxed(shades), named("t.csv", **boxes), Path("out.csv"), Progress())


def test_a_file_that_is_read_is_not_replaced(here: Path) -> None:
    (here / "t.csv").write_text("path\nphotos/1.png\n")
    (here / "link.csv").symlink_to("t.csv")
    for path in ("t.csv", "link.csv", "./t.csv"):
        with pytest.raises(UserError, match="is read, and so cannot be written"):
            check_output(Path("t.csv"), named("photos", path))
    check_output(Path("other.csv"), named("t.csv"))


RUNS = {
    "folds": {"data.val_fraction": 0.2},
    "flat": {"model.sharing": "flat"},
    "joint": {"joint": {"term": {"name": "pairwise"}}},
}


@pytest.mark.parametrize("kind", RUNS)
def test_runs_of_every_shape_answer_as_they_do_from_python(
    kind: str, tiny: Callable[..., Config], tmp_path: Path
) -> None:
    config, folder = tiny({"training.epochs": 1, **RUNS[kind]}), tmp_path / "run"
    if kind == "folds":
        run_folds(config, 2, folder)
    else:
        run(config, folder)
    predictor = Predictor.load(folder)
    predict_files(predictor, named("photos"), Path("out.csv"), Progress(), probabilities=True, batch_size=4)
    expected = predictor.predict(NAMES)
    rows = read("out.csv")
    assert [row["class"] for row in rows] == [one.class_name for one in expected]
    found = np.array([[float(row[f"p(class={name})"]) for name in expected[0].class_probs] for row in rows])
    np.testing.assert_allclose(found, [list(one.class_probs.values()) for one in expected], rtol=1e-4)
