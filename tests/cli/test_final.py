"""``multitask final``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Called


def test_trains_reports_and_refuses(
    call: Callable[..., Called], config_file: Callable[..., Path], tmp_path: Path
) -> None:
    config = config_file({"data.val_fraction": 0.2, "training.epochs": 1, "decode.name": "head_bias"})
    call("train", config, "--folds", 2, "--out", tmp_path / "folds", "--quiet")
    done = call("final", tmp_path / "folds", "-o", tmp_path / "final")
    assert done.code == 0, done.err
    assert "has no scores of its own" in " ".join(done.out.split())
    assert (tmp_path / "final" / "report.html").is_file()
    refused = call("final", tmp_path / "folds", "--out", tmp_path / "final").refusal()
    assert "holds a run already; continue it with --resume or name another --out" in refused
    assert call("final", tmp_path / "folds", "-o", tmp_path / "final", "--resume").code == 0
    assert "is not in folds" in call("final", tmp_path / "final", "-o", tmp_path / "again").refusal()
    assert not (tmp_path / "again").exists()
