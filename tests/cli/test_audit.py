"""``multitask audit`` from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.config import Config
from multitask.runs.cross_validation import run_folds

Call = Callable[..., Any]
QUICK = {"data.val_fraction": 0.2, "training.epochs": 1, "training.schedule.warmup_epochs": 0}


@pytest.fixture(scope="module")
def folded(tiny: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("folded") / "run"
    run_folds(tiny(QUICK), 2, path)
    return path


def test_audit_and_application(call: Call, folded: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit"
    found = call("audit", folded, "--out", out, "--most", 3)
    assert found.code == 0, found.err
    assert "suspect labels" in found.out
    assert str(out / "audit.html") in found.out
    line = call("audit", folded, "--out", out, "--apply").refusal()
    assert line.startswith(f"{out / 'corrections.yaml'}: no such file")
    assert f"--apply {out / 'suspects.yaml'}" in line
    image = next(iter((folded / "predictions-val.csv").read_text().splitlines()[1:])).split(",")
    worn = image[2]
    other = "wear" if worn != "wear" else "not_worn"
    (out / "corrections.yaml").write_text(
        f"corrections:\n  - {{path: '{image[0]}', field: mask, from: {worn}, to: {other}, reason: r, source: s, "
        "tier: medium}\n"
    )
    done = call("audit", folded, "--out", out, "--apply")
    assert done.code == 0, done.err
    assert "images whose labels the corrections changed: 1 mask" in done.out
    assert "under the corrected labels: 84 images of 12 groups" in done.out
    assert "under the given labels" in done.out
    assert (out / "applied" / "run" / "report.html").is_file()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--constant", "gendr"), ("--constant gendr", "'gender'")),
        (("--constant", "gender", "--apply"), ("--constant", "--apply")),
        (("--apply", "nowhere.yaml"), ("nowhere.yaml", "no such file")),
        (("--apply", "nowhere.txt"), ("nowhere.txt", ".yaml")),
    ],
)
def test_mistakes_are_one_line(
    call: Call, folded: Path, tmp_path: Path, words: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    line = call("audit", folded, "--out", tmp_path / "audit", *words).refusal()
    for part in parts:
        assert part in line
    assert not (tmp_path / "audit").exists()


def test_no_run_is_one_line(call: Call, tmp_path: Path) -> None:
    assert "no run folder" in call("audit", tmp_path).refusal()
