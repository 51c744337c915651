"""``multitask export``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.testing import tiny_run
from tests.cli.conftest import Called


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("export"))


def test_a_run_becomes_a_file_that_is_said_to_be_the_same(
    call: Callable[..., Called], trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.onnx"
    done = call("export", trained, "-o", out)
    assert done.code == 0, done.err
    assert str(out) in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_mistakes_are_a_line_and_write_nothing(call: Callable[..., Called], trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.onnx"
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.iterdir())
    assert "nothere" in call("export", tmp_path / "nothere", "-o", out).refusal()
    assert "with the suffix .onnx" in call("export", trained, "-o", tmp_path / "a.onxx").refusal()
    assert "there is no folder" in call("export", trained, "-o", tmp_path / "no" / "a.onnx").refusal()
    assert "empty" in call("export", trained, "-o", out, "--data", tmp_path / "empty").refusal()
    assert "gone" in call("export", trained, "-o", out, "--data", tmp_path / "gone").refusal()
    assert sorted(tmp_path.iterdir()) == before
