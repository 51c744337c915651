"""A third part of the data, which neither trains nor picks anything, and is scored when it is asked for."""

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

Call = Callable[..., Any]
COLOURS = {"red": (200, 40, 40), "blue": (40, 60, 200)}
PARTS = ("train", "train", "Training", "val", "test")
TEST = [row for row in range(40) if PARTS[row // 2 % 5] == "test"]


def draw(path: Path, colour: tuple[int, int, int], width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(200, 255, (32, 32, 3), dtype=np.uint8)
    pixels[8:24, 16 - width : 16 + width] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make(root: Path, scrambled: bool = False) -> None:
    """40 images of 20 products in a table; scrambled: those that test are others, with other labels."""
    lines = ["path,colour,price,product,part"]
    for row in range(40):
        other = scrambled and row in TEST
        colour = list(COLOURS)[(row // 2 + other) % 2]
        price = (10 + row % 7 * 5) * (20 if other else 1)
        draw(root / f"{row:02d}.png", (9, 9, 9) if other else COLOURS[colour], 3 if price < 25 else 9, row)
        lines.append(f"{row:02d}.png,{colour},{price},p{row // 2},{PARTS[row // 2 % 5]}")
    (root / "train.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """Writes a config of the table in a folder: ``config("set", {"val": []})``."""

    def write(root: str, splits: dict[str, Any] | None = None, **data: Any) -> Path:
        source: dict[str, Any] = {"name": "table", "group": "product", "split": "part", "splits": splits or {}}
        path = tmp_path / f"{root}.yaml"
        path.write_text(
            dump_yaml(
                {
                    "labels": {
                        "tasks": {
                            "colour": {"classes": list(COLOURS)},
                            "price": {"kind": "binned", "edges": [25]},
                        }
                    },
                    "data": {"root": root, "source": source, "image_size": [24, 24], **data},
                    "augment": {"strength": 0.3},
                    "model": {"backbone": {"name": "test_resnet", "weights": "none"}},
                    "heads": {
                        "colour": {"loss": {"class_weights": {"name": "effective_number"}}},
                        "price": {"loss": {"name": "mean_variance"}},  # has a number for each class, from who trains
                    },
                    "decode": {"name": "prior_correction"},
                    "training": {"epochs": 2, "batch_size": 8},
                }
            )
        )
        return path

    return write


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def told(run: Path) -> dict[str, Any]:
    """What a run came to, but for what is merely counted of those who test."""
    from multitask.training.checkpoint import load_checkpoint

    report = json.loads((run / "report.json").read_text())
    report["class_distribution"].pop("test", None)
    report["training"].pop("seconds")
    report.pop("created"), report.pop("run")
    folders = [run] if (run / "checkpoints").is_dir() else sorted((run / "folds").iterdir())
    return {
        "report": report,
        "decode": [json.loads((folder / "decode.json").read_text()) for folder in folders],
        "centres": [json.loads((folder / "data.json").read_text())["centres"] for folder in (run, *folders)],
        "weights": [
            {
                name: value.tolist()
                for name, value in load_checkpoint(folder / "checkpoints" / "best.safetensors")["network"].items()
            }
            for folder in folders
        ],
    }


@pytest.mark.parametrize("folds", [None, 2])
def test_neither_trains_nor_picks_anything(
    call: Call, config: Callable[..., Path], tmp_path: Path, folds: int | None
) -> None:
    words, splits = (
        ([], {}) if folds is None else (["--folds", folds], {"train": ["train", "training", "val"], "val": []})
    )
    found = []
    for name, scrambled in (("one", False), ("two", True)):
        make(tmp_path / name, scrambled)
        run = tmp_path / f"run-{name}"
        done = call("train", config(name, splits), *words, "--out", run, "-q")
        assert done.code == 0, done.err
        found.append(told(run))
        assert not (run / "report-test.json").exists()
        assert json.loads((run / "data.json").read_text())["test"] == {"num_images": 8, "num_groups": 4}
        column = "split" if folds is None else "fold"
        assert [number for number, row in enumerate(read(run / "split.csv")) if row[column] == "test"] == TEST
        done = call("evaluate", run, "--split", "test")
        assert done.code == 0, done.err
        assert ", test: 8 images of 4 groups" in done.out
        report = json.loads((run / "report-test.json").read_text())
        assert (report["split"], report["num_images"], report["num_groups"]) == ("test", 8, 4)
        assert {row["image"] for row in read(run / "predictions-test.csv")} == {f"{row:02d}.png" for row in TEST}
        assert "split test" in (run / "report-test.html").read_text()
        again = told(run)
        assert again == found[-1]  # and being scored changes nothing
    assert found[0] == found[1]
    assert found[0]["report"]["num_images"] == (8 if folds is None else 32)


def test_eda_shows_it_and_a_copy_in_it_is_a_leak(call: Call, config: Callable[..., Path], tmp_path: Path) -> None:
    make(tmp_path / "set")
    path = config("set")
    done = call("eda", path, "--out", tmp_path / "eda.html")
    assert done.code == 0, done.err
    parts = "24 images of 12 groups train, 8 images of 4 groups validate, 8 images of 4 groups test."
    assert f"40 images of 20 groups: {parts}" in done.out
    assert "test groups" in done.out
    (tmp_path / "set" / f"{TEST[0]:02d}.png").write_bytes((tmp_path / "set" / "00.png").read_bytes())
    done = call("eda", path, "--out", tmp_path / "eda.html")
    assert "a leak." in done.out
    assert "p0 (train) = p4 (test)" in done.out


def test_an_audit_leaves_it_alone(call: Call, config: Callable[..., Path], tmp_path: Path) -> None:
    make(tmp_path / "set")
    run = tmp_path / "run"
    path = config("set", {"train": ["train", "training", "val"], "val": []})
    assert call("train", path, "--folds", 2, "--out", run, "-q").code == 0
    done = call("audit", run, "-q")
    assert done.code == 0, done.err
    found = json.loads((run / "audit" / "audit.json").read_text())
    images = {image for suspect in found["suspects"] for image in suspect["images"]}
    assert not images & {f"{row:02d}.png" for row in TEST}


def test_what_cannot_be(call: Call, config: Callable[..., Path], tmp_path: Path) -> None:
    make(tmp_path / "set")
    line = call("train", config("set"), "--folds", 2, "--out", tmp_path / "run").refusal()
    assert line.startswith(
        "data.folds: 2 would be ignored: the source says who validates; splits: {train: [train, val], "
    )
    line = call("train", config("set", {"val": ["validation"]}), "--out", tmp_path / "run").refusal()
    assert "train.csv, line 8: part: must be train or training (train), validation (val), test or testing" in line
    assert line.endswith("found 'val'; splits: {train: [...], val: [...], test: [...]} names others")
    assert not (tmp_path / "run").exists()
    (tmp_path / "set" / "train.csv").write_text((tmp_path / "set" / "train.csv").read_text().replace(",test", ",train"))
    assert call("train", config("set"), "--out", tmp_path / "run", "-q").code == 0
    line = call("evaluate", tmp_path / "run", "--split", "test").refusal()
    assert line.startswith(
        "--split test: no image is in it (the source must say which images test, by a table's split column"
    )
