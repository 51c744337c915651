"""``multitask cache``, as a user types it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
ONE_EPOCH = {"training.epochs": 1, "training.schedule.warmup_epochs": 0}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for caches: nobody's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "multitask"


def test_shows_and_clears_what_a_run_left(
    call: Call, config_file: Callable[..., Path], tmp_path: Path, home: Path
) -> None:
    assert call("cache").out == f"{home}: 0 files, 0 B\n"
    assert not home.exists()
    config = config_file({**ONE_EPOCH, "data.cache": "disk"})
    done = call("train", config, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    [file] = home.glob("pixels-*.npy")
    assert f"writing 194 kB to {file}" in done.out  # 84 images of 32 x 24 pixels
    for words in ((), (config,), (home,)):
        shown = call("cache", *words)
        assert shown.code == 0, shown.err
        assert shown.out.startswith(f"{home}: 1 file, 194 kB\n")
        assert "84" in shown.out
        assert "32 x 24 x 3" in shown.out
    cleared = call("cache", config, "--clear")
    assert cleared.out == f"{home}: 194 kB freed\n"
    assert list(home.iterdir()) == []


def test_makes_what_a_run_takes(call: Call, config_file: Callable[..., Path], tmp_path: Path, home: Path) -> None:
    config = config_file({**ONE_EPOCH, "data.cache": "disk"})
    made = call("cache", config, "--make")
    assert made.code == 0, made.err
    [file] = home.glob("pixels-*.npy")
    assert f"writing 194 kB to {file}" in made.out
    assert f"{home}: 1 file, 194 kB\n" in made.out
    for line in (call("cache", config, "--make"), call("train", config, "--out", tmp_path / "run")):
        assert line.code == 0, line.err
        assert "writing" not in line.out
        assert "reading images" not in line.out


def test_what_cannot_be_made_is_one_line(
    call: Call, config_file: Callable[..., Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_file()
    assert call("cache", "--make").refusal() == "--make: needs a config"
    assert call("cache", config, "--make", "--clear").refusal() == "--make: cannot be combined with --clear"
    for cache in ("auto", "memory", "none"):
        assert call("cache", config, "--make", "--set", f"data.cache={cache}").refusal() == (
            f"--make: keeps images on disk, and data.cache is {cache}; set it to disk, here and in training"
        )
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "two"}.items():
        monkeypatch.setenv(name, value)
    said = "WORLD_SIZE: must be a whole number, as torchrun sets it, found 'two'"
    assert call("cache", config, "--make").refusal() == said
    assert not home.exists()


def test_the_folder_of_a_config_is_its_own(call: Call, config_file: Callable[..., Path], tmp_path: Path) -> None:
    config = config_file({"data.cache": "disk"})
    shown = call("cache", config, "--set", f"data.cache_dir={tmp_path / 'mine'}")
    assert shown.out == f"{tmp_path / 'mine'}: 0 files, 0 B\n"


def test_clear_touches_nothing_else(call: Call, tmp_path: Path) -> None:
    kept = tmp_path / "pixels-mine.npy"
    kept.write_text("mine")
    assert call("cache", tmp_path, "--clear").out == f"{tmp_path}: 0 B freed\n"
    assert kept.read_text() == "mine"


def test_exported_runs_are_shown_and_cleared_and_nothing_else_beside_them(call: Call, home: Path) -> None:
    exports = home / "exports"
    exports.mkdir(parents=True)
    for name in (f"{'ab' * 16}-fp32-2.onnx", f"{'cd' * 16}-engine.json", "mine.onnx"):
        (exports / name).write_bytes(b"0" * 1000)
    assert call("cache").out == f"{home}: 0 files, 0 B\n{exports}: 1 exported run, 2.0 kB\n"
    assert call("cache", "--clear").out == f"{home}: 2.0 kB freed\n"
    assert [path.name for path in exports.iterdir()] == ["mine.onnx"]


def test_what_is_damaged_is_shown_as_that(call: Call, home: Path) -> None:
    home.mkdir(parents=True)
    (home / f"pixels-{'0' * 32}.npy").write_bytes(b"nothing")
    assert "damaged" in call("cache").out


def test_refusals(call: Call, tmp_path: Path) -> None:
    assert call("cache", tmp_path / "no.yaml").refusal() == f"{tmp_path / 'no.yaml'}: no such file"
    assert "--set: needs a config" in call("cache", "--set", "seed=1").refusal()
    assert "is a folder" in call("cache", tmp_path, "--set", "seed=1").refusal()


def test_a_model_that_is_not_yunet_is_one_line(call: Call, config_file: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no model")
    crop = f"data.crop={{name: face, model: {tmp_path / 'x.onnx'}}}"
    line = call("train", config_file(), "--set", crop, "--out", tmp_path / "run").refusal()
    assert line == f"data.crop.model: {tmp_path / 'x.onnx'}: is not YuNet, the face detector, as an ONNX file"
    assert not (tmp_path / "run").exists()
