"""Other data than the competition's, from the command line: it trains, reports, predicts; what is wrong is one line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multitask.settings.yaml_text import dump_yaml
from multitask.training.checkpoint import load_checkpoint

Call = Callable[..., Any]
GARMENTS = ("shirt", "skirt")
COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}

CONFIG: dict[str, Any] = {
    "labels": {"tasks": {"garment": {"classes": list(GARMENTS)}, "colour": {"classes": list(COLOURS)}}},
    "data": {"val_fraction": 0.3, "image_size": [24, 24]},
    "augment": {"strength": 0.3, "flip": False},
    "model": {"backbone": {"name": "test_resnet", "weights": "none"}},
    "training": {"epochs": 2, "batch_size": 16},
}


def draw(path: Path, garment: str, colour: str, seed: int) -> None:
    """An image of a garment: a narrow thing or a wide one, in its colour."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(200, 255, (32, 32, 3), dtype=np.uint8)
    left = {"shirt": 12, "skirt": 4}[garment]
    pixels[8:28, left : 32 - left] = COLOURS[colour]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """48 images of 24 products, every third without a garment, every fifth without a colour; 6 to be answered."""
    root = tmp_path / "set"
    rows = []
    for row in range(48):
        garment, colour = GARMENTS[row // 2 % 2], list(COLOURS)[row // 4 % 3]
        draw(root / f"images/{row:02d}.png", garment, colour, row)
        rows.append(
            f"images/{row:02d}.png,{garment if row % 3 else ''},{colour if row % 5 else ''},p{row // 2},{1 + row % 2}"
        )
    write(root / "train.csv", "path,garment,colour,product,weight", rows)
    asked = [f"images/{row:02d}.png,skirt,blue,p{row // 2}" for row in range(6)]
    write(root / "queries.csv", "path,garment,colour,product", asked)
    return root


@pytest.fixture
def config(tmp_path: Path, table: Path) -> Callable[..., Path]:
    """Writes a config: ``config({"source": ...})`` changes its data section."""

    def make(data: dict[str, Any] | None = None, **more: Any) -> Path:
        path = tmp_path / "config.yaml"
        section = {"root": "set", "source": {"name": "table", "group": "product"}, **CONFIG["data"], **(data or {})}
        section = {key: value for key, value in section.items() if value is not None}
        path.write_text(dump_yaml({**CONFIG, **more, "data": section}))
        return path

    return make


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_with_missing_labels_trains_reports_and_predicts(
    call: Call, config: Callable[..., Path], table: Path, tmp_path: Path
) -> None:
    run, out = tmp_path / "run", tmp_path / "answers.csv"
    settings = {"source": {"name": "table", "group": "product", "weight": "weight"}}
    assert call("train", config(settings), "--out", run, "-q").code == 0
    truth = {row["path"]: row for row in read(table / "train.csv")}
    rows = read(run / "predictions-val.csv")
    assert {row["garment"] for row in rows} == {"", *GARMENTS}
    for row in rows:
        assert (row["garment"], row["colour"]) == (truth[row["image"]]["garment"], truth[row["image"]]["colour"])
        assert (row["class"] == "") == (not row["garment"] or not row["colour"])
        assert row["predicted"]
    report = json.loads((run / "report.json").read_text())
    for task in ("garment", "colour"):
        assert report["tasks"][task]["num_images"] == sum(row[task] != "" for row in rows)
    assert report["joint"]["num_images"] == sum(row["class"] != "" for row in rows)
    assert "images_missing" not in report
    split = read(run / "split.csv")
    sides = {row["group"]: {other["split"] for other in split if other["group"] == row["group"]} for row in split}
    assert set(map(len, sides.values())) == {1}

    assert call("predict", run, "--data", table, "-o", out, "-q").code == 0
    answers = read(out)
    assert [row["path"] for row in answers] == [f"images/{row:02d}.png" for row in range(6)]
    for row in answers:
        assert row["class"] == f"{row['garment']}/{row['colour']}"
    assert call("evaluate", run, "--split", "eval", "-q").code == 0
    scored = json.loads((run / "report-eval.json").read_text())
    hits = np.mean([row["class"] == "skirt/blue" for row in answers])
    assert scored["joint"]["accuracy"] == pytest.approx(hits)


def test_what_is_odd_in_a_table_is_said_once(
    call: Call, config: Callable[..., Path], table: Path, tmp_path: Path
) -> None:
    rows = [
        f"{row['path']},{row['garment']},red,{row['product']}{' ' * (number % 2)},{(-1, 20, 50)[number % 3]}"
        for number, row in enumerate(read(table / "train.csv"))
    ]
    write(table / "train.csv", "path,garment,colour,product,price", rows)
    tasks = {"garment": {"classes": list(GARMENTS)}, "price": {"kind": "binned", "edges": [30]}}
    path, run = config({"val_fraction": None}, labels={"tasks": tasks}), tmp_path / "run"
    spelt, coded = "train.csv, product: 24 names are typed in several ways", "price: the number of 16 images is -1"
    for words in (("train", path, "--folds", 2, "--out", run), ("eda", path, "--out", tmp_path / "eda.html")):
        done = call(*words)
        assert done.code == 0, done.err
        assert done.out.count(spelt) == done.out.count(coded) == 1
    notes = json.loads((run / "data.json").read_text())["notes"]
    assert [note.startswith(text) for note, text in zip(notes, (spelt, coded), strict=True)] == [True, True]
    assert all(text in (tmp_path / "eda.html").read_text() for text in (spelt, coded))
    groups = {row["group"]: row["fold"] for row in read(run / "split.csv")}
    assert len(groups) == 24
    assert all(groups[row["group"]] == row["fold"] for row in read(run / "split.csv"))
    tasks["price"]["lowest"] = 0
    line = call("train", config({}, labels={"tasks": tasks}), "--out", tmp_path / "other").refusal()
    assert line.startswith(
        f"{table}/train.csv, line 2: price: must be at least 0 (labels.tasks.price.lowest), found -1"
    )


def test_classes_without_images_have_a_cure_and_then_stand_in_no_table(
    call: Call, config: Callable[..., Path], tmp_path: Path
) -> None:
    tasks = {"garment": {"classes": list(GARMENTS)}, "colour": {"classes": [*COLOURS, "violet"]}}
    labels: dict[str, Any] = {"tasks": tasks}
    cure = "labels:\n  impossible:\n  - {colour: violet}"
    never = "2 of 8 classes have no image in any split: shirt/violet, skirt/violet."
    for impossible in ([], [{"colour": "violet"}]):
        path, run = config(labels={**labels, "impossible": impossible}, joint={}), tmp_path / f"run{len(impossible)}"
        trained = call("train", path, "--out", run)
        assert trained.code == 0, trained.err
        looked = call("eda", path, "--out", tmp_path / "eda.html")
        pages = [(run / "report.html").read_text(), (tmp_path / "eda.html").read_text()]
        for text in (trained.out, looked.out, *(page.replace("&lt;", "<") for page in pages)):
            assert (never in text) == (cure in text) == (not impossible)
            if impossible:
                assert "violet" not in text
        report = json.loads((run / "report.json").read_text())
        assert len(report["joint"]["classes"]) == len(report["joint"]["confusion"]) == 8 - 2 * len(impossible)
        assert report["empty_cells"]["never"] == ([] if impossible else ["shirt/violet", "skirt/violet"])
        assert ("p(joint=shirt/violet)" in read(run / "predictions-val.csv")[0]) == (not impossible)
        assert call("evaluate", run, "--split", "train", "-q").code == 0  # reads what it wrote


def test_two_sources_of_which_none_has_a_whole_class(
    call: Call, config: Callable[..., Path], table: Path, tmp_path: Path
) -> None:
    for row in range(24):
        draw(tmp_path / f"more/train/{GARMENTS[row % 2]}/{row}.png", GARMENTS[row % 2], "red", row)
        draw(tmp_path / f"more/eval/{row}.png", GARMENTS[row % 2], "blue", row + 99)
    sources = {
        "shapes": {
            "root": "more",
            "source": {"name": "folders", "pattern": "{garment}"},
            "tasks": ["garment"],
        },
        "colours": {"root": "set", "source": {"name": "table", "group": "product"}, "tasks": ["colour"]},
    }
    data = {
        "root": None,
        "source": {"name": "several", "sources": sources},
        "sampler": {"name": "per_source", "weights": {"shapes": 2}},
    }
    best = {**CONFIG.get("training", {}), "keep": {"name": "best"}}
    line = call("train", config(data, training=best), "--out", tmp_path / "run").refusal()
    assert line.startswith("training.monitor: joint.macro_f1 is unknown: none of the ")
    assert line.endswith("; name tasks.garment.macro_f1, or set training.keep.name to last or mean")
    flat = config(data, model={**CONFIG["model"], "sharing": {"name": "flat"}}, training=best)
    line = call("train", flat, "--out", tmp_path / "run").refusal()
    assert line.startswith("training.monitor: joint.macro_f1 is unknown: none of the ")
    assert not (tmp_path / "run").exists()

    run, out = tmp_path / "run", tmp_path / "answers.csv"
    path = config(data, training={**CONFIG["training"], "monitor": "tasks.colour.macro_f1"})
    for command, key, part in (
        ("bakeoff", "metric", {"contenders": {"a": {}, "b": {"overrides": {"training.lr": 0.01}}}}),
        ("study", "objective", {"space": {"training.lr": {"low": 0.001, "high": 0.1}}, "budget": {"trials": 1}}),
    ):
        file = tmp_path / f"{command}.yaml"
        file.write_text(json.dumps({"name": command, "base": str(path), **part}))
        line = call(command, file, "--out", tmp_path / command).refusal()
        assert line.startswith(f"{key}: joint.macro_f1 is unknown: none of the ")
        assert line.endswith("; name tasks.garment.macro_f1")
        assert not (tmp_path / command).exists()
    line = call("recipe", path, "--budget", "1h", "--out", tmp_path / "recipe").refusal()
    assert line.endswith("; name tasks.garment.macro_f1; `metric` stands in a recipe file, beside `base`")
    done = call("train", path, "--out", run)
    assert done.code == 0, done.err
    report = json.loads((run / "report.json").read_text())
    assert report["joint"]["num_images"] == 0
    assert report["joint"]["accuracy"] is report["joint"]["macro_f1"] is None
    assert "joint: unknown, since no image has all its labels" in done.out
    assert "nan" not in done.out
    assert "macro-F1 joint - garment" in done.out
    assert {report["tasks"][task]["num_images"] > 0 for task in ("garment", "colour")} == {True}
    data_record = json.loads((run / "data.json").read_text())
    assert set(data_record["roots"]) == {"shapes", "colours"}
    page = (run / "report.html").read_text()
    assert "nan" not in page.lower().replace("nano", "")
    rows = read(run / "predictions-val.csv")
    assert {(row["image"].split("/")[0], row["garment"] != "") for row in rows} == {
        ("shapes", True),
        ("colours", False),
    }

    # Answers are asked for in the first source's layout.
    assert call("predict", run, "--data", tmp_path / "more", "-o", out, "-q").code == 0
    assert len(read(out)) == 24
    assert "each of several sources has a root of its own" in call("evaluate", run, "--data", table).refusal()
    assert "joint: unknown" in call("report", run).out


def test_a_resumed_run_draws_what_one_that_was_not_stopped_draws(
    call: Call, config: Callable[..., Path], tmp_path: Path
) -> None:
    path = config({"sampler": {"name": "class_weighted"}})
    assert call("train", path, "--out", tmp_path / "whole", "-q").code == 0
    from multitask.config import load_config
    from multitask.runs import run as run_module

    class StopError(Exception):
        pass

    def stop(record: dict[str, Any]) -> None:
        raise StopError

    with pytest.raises(StopError):
        run_module.run(load_config(path), tmp_path / "halves", on_epoch=stop)
    assert call("train", path, "--out", tmp_path / "halves", "--resume", "-q").code == 0
    first, second = (
        load_checkpoint(tmp_path / name / "checkpoints" / "last.safetensors")["network"] for name in ("whole", "halves")
    )
    assert all((first[key] == second[key]).all() for key in first)


def test_corrections_are_made_and_recorded(call: Call, config: Callable[..., Path], tmp_path: Path) -> None:
    fix = {"field": "colour", "from": "red", "to": "blue", "reason": "looked", "source": "me", "tier": "medium"}
    drop = {"path": "images/47.png", "field": "drop", "reason": "blurred", "source": "me", "tier": "weak"}
    fixes = tmp_path / "fixes.yaml"
    fixes.write_text(dump_yaml({"corrections": [{"path": "images/01.png", **fix}, drop]}))
    path = config({"corrections": {"files": ["fixes.yaml"], "tier": "medium"}})
    run = tmp_path / "run"
    assert call("train", path, "--out", run, "-q").code == 0
    record = json.loads((run / "data.json").read_text())["corrections"]
    assert record["applied"] == [{"file": str(fixes), "path": "images/01.png", **fix, "num_images": 1}]
    # a run goes on only with the data that it began with
    assert call("train", run / "config.yaml", "--out", run, "--resume", "-q").code == 0
    fixes.write_text(dump_yaml({"corrections": [drop]}))
    assert "is not the data" in call("train", run / "config.yaml", "--out", run, "--resume").refusal()
    fixes.write_text(dump_yaml({"corrections": [{"path": "images/02.png", **fix, "from": "green"}]}))
    line = call("train", path, "--out", tmp_path / "other").refusal()
    assert line == f"{fixes}: corrections.0: colour of path 'images/02.png' must be 'green', found 'red'"
    assert not (tmp_path / "other").exists()


class TestBadInput:
    @pytest.mark.parametrize(
        ("header", "row", "line"),
        [
            ("path,garmnt,colour,product", "", "train.csv: has no column 'garment'; did you mean 'garmnt'?"),
            ("path,garment,colour,prod", "", "train.csv: has no column 'product'; did you mean 'prod'?"),
            (None, "x.png,shrt,red,p1", "train.csv, line 2: garment: unknown class 'shrt'; did you mean 'shirt'"),
            (None, "/etc/x.png,shirt,red,p1", "train.csv, line 2: path: must be a path inside the data root"),
            (None, "../x.png,shirt,red,p1", "train.csv, line 2: path: leaves the data root: '../x.png'"),
            (None, "images/00.png,shirt,red,p1", "train.csv, line 3: path 'images/00.png' stands in line 2 too"),
            (None, "gone.png,shirt,red,p1", "gone.png: no such file"),
        ],
    )
    def test_in_a_table(
        self, call: Call, config: Callable[..., Path], table: Path, tmp_path: Path, header: str, row: str, line: str
    ) -> None:
        rows = (table / "train.csv").read_text().splitlines()[1:]
        rows = [text.rpartition(",")[0] for text in rows]
        write(table / "train.csv", header or "path,garment,colour,product", [row, *rows] if row else rows)
        assert call("train", config(), "--out", tmp_path / "run").refusal().startswith(f"{table}/{line}")
        assert not (tmp_path / "run").exists()

    def test_a_group_in_two_splits(self, call: Call, config: Callable[..., Path], table: Path, tmp_path: Path) -> None:
        rows = ["a.png,shirt,red,p1,train", "b.png,shirt,red,p1,val"]
        write(table / "train.csv", "path,garment,colour,product,part", rows)
        source = {"name": "table", "group": "product", "split": "part"}
        line = call("train", config({"source": source}), "--out", tmp_path / "run").refusal()
        assert line == "data.val_fraction: 0.3 would be ignored: the source says who validates"
        line = call("train", config({"source": source, "val_fraction": None}), "--out", tmp_path / "run").refusal()
        assert line.startswith(f"{table}/train.csv, line 3: group 'p1' is in 'val' here and in 'train' in line 2")

    def test_nobody_on_one_side(self, call: Call, config: Callable[..., Path], table: Path, tmp_path: Path) -> None:
        write(table / "train.csv", "path,garment,colour,part", ["a.png,shirt,red,train", "b.png,shirt,red,train"])
        path = config({"source": {"name": "table", "split": "part"}, "val_fraction": None})
        assert call("train", path, "--out", tmp_path / "run").refusal().startswith("data.source: leaves one side empty")

    def test_nobody_who_counts(self, call: Call, config: Callable[..., Path], table: Path, tmp_path: Path) -> None:
        rows = [f"{row['path']},{row['garment']},{row['colour']},0" for row in read(table / "train.csv")]
        write(table / "train.csv", "path,garment,colour,w", rows)
        line = call("train", config({"source": {"name": "table", "weight": "w"}}), "--out", tmp_path / "run").refusal()
        assert line.startswith("data.source.weight: is 0 for all ")
        assert not (tmp_path / "run").exists()

    def test_a_folder_that_does_not_match(self, call: Call, config: Callable[..., Path], tmp_path: Path) -> None:
        for folder in ("red_shirt", "redskirt"):
            draw(tmp_path / "set" / "train" / folder / "1.png", "shirt", "red", 0)
        path = config({"source": {"name": "folders", "pattern": "{colour}_{garment}"}})
        line = call("train", path, "--out", tmp_path / "run").refusal()
        folder = tmp_path / "set" / "train" / "redskirt"
        assert line == f"{folder}: holds images, but its name does not match the pattern '{{colour}}_{{garment}}'"

    @pytest.mark.parametrize(
        ("setting", "line"),
        [
            ("data.source.groop=x", "data.source.groop: unknown key (of 'table'); did you mean 'group'?"),
            ("data.source.tasks.garmet={}", "data.source.tasks.garmet: labels.tasks has no such task; did you mean"),
            ("data.root=''", "data.root: must name the folder that the images are in"),
            ("data.sampler=per_source", "data.sampler: per_source needs several sources, found table"),
            ("data.sampler.name=uniformly", "data.sampler.name: unknown name 'uniformly'; did you mean 'uniform'?"),
            ("data.sampler={name: class_weighted, power: 0}", "data.sampler.power: input should be greater than 0"),
            ("data.corrections={files: [no.yaml]}", "no.yaml: no such file"),
            ("data.corrections={files: []}", "data.corrections.files: "),
            ("data.corrections={files: [a.yaml], tier: sure}", "data.corrections.tier: input should be 'strong', "),
        ],
    )
    def test_in_settings(
        self, call: Call, config: Callable[..., Path], tmp_path: Path, setting: str, line: str
    ) -> None:
        assert line in call("train", config(), "--set", setting, "--out", tmp_path / "run").refusal()
        assert not (tmp_path / "run").exists()

    def test_settings_that_several_sources_would_ignore(self, call: Call, config: Callable[..., Path]) -> None:
        part = {"root": "set", "source": {"name": "table"}}
        source = {"name": "several", "sources": {"a": part, "b": part}}
        line = call("config", config({"source": source})).refusal()
        assert "data.root: " in line
        assert "would be ignored: each of several sources has a root of its own" in line
        sampler = {"name": "per_source", "weights": {"c": 1}}
        line = call("config", config({"root": None, "source": source, "sampler": sampler})).refusal()
        assert "data.sampler.weights.c: there is no source of that name" in line
