"""``multitask eda``, as a user types it."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from multitask.config import Config

Call = Callable[..., Any]
ConfigFile = Callable[..., Path]


def test_writes_a_page_and_says_what_it_found(
    call: Call, config_file: ConfigFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("eda", config_file())
    assert done.code == 0, done.err
    assert "looking at images: 84 images" in done.out
    assert "looking for copies: 84 images" in done.out
    assert "84 images of 12 groups" in done.out
    assert "No image was found under two groups." in done.out
    assert "eda.html" in done.out
    page = (tmp_path / "eda.html").read_text()
    assert "<h1>tiny</h1>" in page
    assert len(page) < 3_000_000


def test_quiet_says_nothing_and_out_names_the_page(call: Call, config_file: ConfigFile, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text("old")
    done = call("eda", config_file(), "--out", out, "--quiet", "--set", "data.val_fraction=0")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert out.read_text().startswith("<!doctype html>")
    assert not list(tmp_path.glob(".*"))


def test_what_was_found_is_told_though_the_disk_is_full(
    call: Call, config_file: ConfigFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("multitask.utils.files.write_atomically", full)
    done = call("eda", config_file(), "--out", tmp_path / "page.html")
    assert done.refusal() == f"{tmp_path / 'page.html'}: No space left on device"
    assert "84 images of 12 groups" in done.out


def test_a_damaged_image_is_listed_and_a_copy_is_a_leak(
    call: Call, config_file: ConfigFile, drawn: Path, tmp_path: Path, tiny: Callable[..., Config]
) -> None:
    from multitask.runs.data_module import DataModule

    root = tmp_path / "data"
    shutil.copytree(drawn, root)
    config = config_file({"data.root": str(root)})
    data = DataModule(tiny({"data.root": str(root)}))
    trains, validates = (data.samples.take(part).paths() for part in (data.split.train, data.split.val))
    source = next(path for path in trains if path.stem == "normal")
    target = next(path for path in validates if path.stem == "normal")
    target.unlink()
    shutil.copy(source, target.with_suffix(source.suffix))
    broken = next(path for path in trains if path.stem == "mask1")
    broken.write_bytes(b"nothing")
    done = call("eda", config, "--out", tmp_path / "page.html")
    assert done.code == 0, done.err
    assert "1 set is on both sides of the split: a leak." in done.out
    assert f"{source.parent.name} (train)" in done.out
    assert f"{target.parent.name} (val)" in done.out
    assert f"{broken.relative_to(root)}: cannot be read as an image" in done.out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--set", "data.val_fractoin=0.1"], ("data.val_fractoin", "'val_fraction'")),
        (["--set", "data.root=/nowhere/at/all"], ("/nowhere/at/all",)),
        (["--out", "/nowhere/at/all/eda.html"], ("--out", "no such folder", "/nowhere/at/all")),
        (["--out", "/"], ("--out", "must be a file", "folder /")),
    ],
)
def test_bad_input_is_refused_in_a_line(
    call: Call,
    config_file: ConfigFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    parts: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    line = call("eda", config_file(), *words).refusal()
    for part in parts:
        assert part in line
    assert not (tmp_path / "eda.html").exists()


def test_a_config_that_is_not_there(call: Call, tmp_path: Path) -> None:
    assert "nowhere.yaml" in call("eda", tmp_path / "nowhere.yaml", "--out", tmp_path / "e.html").refusal()


def test_json_holds_the_findings_and_the_gap_between_sources(
    call: Call, config_file: ConfigFile, drawn: Path, tmp_path: Path
) -> None:
    part = {"root": str(drawn), "source": {"name": "competition"}}
    source = {"name": "several", "target": "ones", "sources": {"ones": part, "twos": part}}
    config = config_file({"data.root": "", "data.source": source})
    out, found = tmp_path / "page.html", tmp_path / "found.json"
    done = call("eda", config, "--out", out, "--json", found)
    assert done.code == 0, done.err
    facts = json.loads(found.read_text())
    assert [gap["source"] for gap in facts["gap"]["sources"]] == ["ones", "twos"]
    assert all(0 <= gap["low"] <= gap["auc"] <= gap["high"] <= 1 for gap in facts["gap"]["sources"])
    told = next(line for line in facts["findings"] if line.startswith("Sources told apart"))
    assert told[:60] in done.out.replace("\n", " ")
    assert told[:60] in out.read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert call("eda", config, "--out", out, "--json", tmp_path).code == 2


def test_a_source_of_too_few_groups_to_be_told_apart_is_named(
    call: Call, config_file: ConfigFile, drawn: Path, tmp_path: Path
) -> None:
    (tmp_path / "few").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "few" / "one.png")
    (tmp_path / "few" / "train.csv").write_text("path,mask,gender,age\none.png,wear,male,30\n")
    several = {
        "name": "several",
        "target": "ones",
        "sources": {
            "ones": {"root": str(drawn), "source": {"name": "competition"}},
            "some": {"root": str(tmp_path / "few"), "source": {"name": "table"}},
        },
    }
    config = config_file({"data.root": "", "data.source": several})
    done = call("eda", config, "--out", tmp_path / "page.html")
    assert done.code == 0, done.err
    assert "Not asked whether images tell their source: ones, some; that takes two" in done.out.replace("\n", " ")
    assert "Sources told apart" not in done.out


def test_a_runs_features_are_asked_for_the_sources(
    call: Call, config_file: ConfigFile, drawn: Path, tiny: Callable[..., Config], tmp_path: Path
) -> None:
    import torch

    from multitask.runs.build import build_network
    from multitask.runs.folder import RunFolder
    from multitask.training.checkpoint import save_checkpoint

    trained = tiny({"model.sharing": "separate"})
    folder = RunFolder(tmp_path / "run")
    folder.checkpoints.mkdir(parents=True)
    network = build_network(trained, torch.device("cpu"), pretrained=False)
    save_checkpoint(folder.best, {"epoch": 1, "network": network.state_dict()})
    folder.config.write_text(trained.to_yaml())
    part = {"root": str(drawn), "source": {"name": "competition"}}
    source = {"name": "several", "target": "ones", "sources": {"ones": part, "twos": part}}
    config = config_file({"data.root": "", "data.source": source})
    words = ("--out", tmp_path / "page.html", "--json", tmp_path / "found.json", "--run", folder.path)
    done = call("eda", config, *words)
    assert done.code == 0, done.err
    facts = json.loads((tmp_path / "found.json").read_text())
    assert [gap["tasks"] for gap in facts["gap"]["features"]] == [["mask"], ["gender"], ["age"]]
    assert any(line.startswith("Sources told apart by the run's features for gender, ") for line in facts["findings"])
    for changes, line in (
        (["data.image_size=[64,48]"], "--run: .* sees images of 32 x 24 px, but data.image_size is 64 x 48"),
        (["labels.tasks.gender.classes=[a,b]"], "--run: .* is of other labels than the config"),
    ):
        assert re.match(line, call("eda", config, *words, "--set", *changes).refusal())
    line = call("eda", config_file(), "--out", tmp_path / "page.html", "--run", folder.path).refusal()
    assert line.startswith("--run: would be ignored: data.source is not of several sources")
