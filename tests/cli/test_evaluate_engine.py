"""What ``multitask export`` and ``evaluate --engine`` refuse, in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.testing import tiny_run

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("evaluated"))


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--engine", "onyxruntime"], "unknown engine 'onyxruntime'; did you mean 'onnxruntime'?"),
        (
            ["--engine", "torch", "--precision", "int8"],
            "--precision: engine torch computes in the run's own, found int8",
        ),
        (["--engine", "onnxruntime", "--precision", "bf16"], "engine onnxruntime: precision: input should be"),
        (["--precision", "int8"], "--precision: would be ignored without --engine"),
        (["--engine", "torch", "--views", "flip"], "--views: would be ignored beside --engine"),
    ],
)
def test_an_engine_that_cannot_be_is_refused(words: list[str], match: str, trained: Path, call: Call) -> None:
    assert match in call("evaluate", trained, *words).refusal()


def test_an_engine_is_shown_beside_the_run(trained: Path, call: Call) -> None:
    done = call("evaluate", trained, "--engine", "torch")
    assert done.code == 0, done.err
    assert "torch, fp32, against the run" in done.out
    assert "100.00% of" in done.out
    assert (trained / "report-val-torch-fp32.json").is_file()


def test_export_refuses_before_it_computes(trained: Path, tmp_path: Path, call: Call) -> None:
    for output, match in (("a.bin", "suffix .onnx"), ("no/a.onnx", "there is no folder")):
        assert match in call("export", trained, "-o", tmp_path / output).refusal()
    assert "is no run folder" in call("export", tmp_path, "-o", tmp_path / "a.onnx").refusal()
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    image = next((trained.parent / "set").rglob("*.jpg"))
    line = call("predict", tmp_path / "damaged.onnx", image, "-o", tmp_path / "a.csv").refusal()
    assert "cannot be read as an exported file" in line
    assert not (tmp_path / "a.csv").exists()


def test_export_says_how_near_the_file_is(trained: Path, tmp_path: Path, call: Call) -> None:
    done = call("export", trained, "-o", tmp_path / "a.onnx", "--precision", "int8")
    assert done.code == 0, done.err
    assert "int8, compared with the run on" in done.out
    assert (tmp_path / "a.onnx").is_file()
