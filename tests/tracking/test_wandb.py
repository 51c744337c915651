from __future__ import annotations

import time
from pathlib import Path

import pytest

from multitask.errors import UserError
from multitask.tracking.tracker import TrackedRun
from multitask.tracking.wandb import WandbSettings


def test_offline_a_run_is_kept_in_the_runs_folder(tmp_path: Path) -> None:
    tracker = WandbSettings(mode="offline").open(TrackedRun(tmp_path, {"seed": 3}))
    tracker.epoch(1, {"val/joint/macro_f1": 0.25})
    tracker.report({"report/joint/macro_f1": 0.5}, [])
    tracker.close(failed=False)
    [kept] = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert kept.name == f"run-{tracker.key}.wandb"
    until = time.monotonic() + 60
    while b"val/joint/macro_f1" not in kept.read_bytes():  # a process of wandb's own writes it
        assert time.monotonic() < until, "what was told never came to the disk"
        time.sleep(0.1)


def test_online_without_an_account_nobody_is_asked_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(UserError, match="mode: offline"):
        WandbSettings().open(TrackedRun(tmp_path, {}))
