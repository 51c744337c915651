"""``multitask init``: what it writes trains as it is; what it refuses is one line, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.init.made import add_images, write_lines

Call = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    paths = (
        f"{colour}_{garment}/{row}.jpg"
        for colour in ("red", "blue")
        for garment in ("shirt", "shoe")
        for row in range(8)
    )
    add_images(tmp_path / "set", paths)
    monkeypatch.chdir(tmp_path)
    return Path("set")


def test_what_it_writes_trains_as_it_is(folder: Path, call: Call) -> None:
    done = call("init", folder)
    assert (done.code, done.err) == (0, "")
    for words in ("32 images in set", "assumed:", "the names of folders say: {colour}_{label}", "written: config.yaml"):
        assert words in done.out
    assert "next: multitask eda config.yaml, then multitask train config.yaml" in done.out
    trained = call(
        "train", "config.yaml", "--out", "run", "-q", "--set", "training.epochs=1",
        "--set", "training.schedule.warmup_epochs=0",
    )  # fmt: skip
    assert (trained.code, trained.err) == (0, "")
    assert (Path("run") / "report.json").is_file()


def test_nothing_is_replaced(folder: Path, call: Call) -> None:
    write_lines(Path("config.yaml"), "mine: 1")
    assert "config.yaml: exists; name another file with -o" in call("init", folder).refusal()
    assert Path("config.yaml").read_text() == "mine: 1\n"
    assert call("init", folder, "-o", "other.yaml", "-q").out == ""
    assert Path("other.yaml").is_file()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("nothere",), "nothere: no such file or folder"),
        (("set", "-o", "nothere/config.yaml"), "-o: no such folder: nothere"),
        (("set", "-o", "config.txt"), "-o: must end in .yaml"),
        (("set", "--backbone", "resnet18"), "--backbone, --weights: name both"),
        (("set", "--backbone", "resnet18", "--weights", "nothere.pth"), "there is no file"),
        (("set", "--images", "nothere"), "--images: no such folder: nothere"),
        (("set", "--pattern", "{a b}/{_}.jpg"), "--pattern: a name is made of letters"),
        (("words.txt",), "words.txt: is neither a folder nor a table"),
    ],
)
def test_what_is_refused(folder: Path, call: Call, words: tuple[str, ...], reason: str) -> None:
    write_lines(Path("words.txt"), "words")
    before = sorted(Path().rglob("*"))
    assert reason in call("init", *words).refusal()
    assert sorted(Path().rglob("*")) == before


def test_weights_that_the_user_has(folder: Path, call: Call) -> None:
    Path("my.pth").touch()
    assert call("init", folder, "--backbone", "resnet18", "--weights", "my.pth").code == 0
    text = Path("config.yaml").read_text()
    assert "backbone: {name: resnet18, weights: my.pth}" in text
    assert "learns from nothing" not in text
