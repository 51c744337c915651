"""Readers who leave, disks that are full, and Ctrl-C while libraries are imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
Call = Callable[..., Any]


@contextmanager
def unread() -> Iterator[None]:
    """Standard output is a pipe that nobody reads. No fixture: pytest's capture comes back after each of them."""
    here, there = os.pipe()
    os.close(here)
    before = sys.stdout
    with os.fdopen(there, "w") as sys.stdout:
        with pytest.raises(BrokenPipeError):
            os.write(there, b"x")
        yield
    sys.stdout = before


def main(*words: object) -> int:
    from multitask.cli import main as console_script

    sys.argv = ["multitask", *map(str, words)]
    try:
        console_script()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


class TestUnread:
    @pytest.mark.parametrize("words", [("--help",), ("config", ROOT / "configs" / "demo.yaml"), ("runs", ".")])
    def test_what_only_prints_ends_quietly(
        self, words: tuple[object, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "argv", [])
        with unread():
            assert main(*words) == 0
        assert capsys.readouterr().err == ""

    def test_a_training_goes_on_and_says_so_once(
        self,
        config_file: Callable[..., Path],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(sys, "argv", [])
        with unread():
            assert main("train", config_file(), "--out", tmp_path / "run") == 0
        assert (tmp_path / "run" / "report.html").is_file()
        assert capsys.readouterr().err == "note: nobody reads the output any more; it goes on\n"


def test_a_full_disk_behind_the_output_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [])
    full = open("/dev/full", "w", buffering=1)  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", full)
    assert main("config", ROOT / "configs" / "demo.yaml") == 2
    with suppress(OSError):
        full.close()
    assert capsys.readouterr().err == "error: standard output: No space left on device\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_were_closed_before_the_start_are_no_error(closed: str) -> None:
    line = f"exec {sys.executable} -m multitask config {ROOT / 'configs' / 'demo.yaml'} {closed}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("raised", ["raise", "raise ImportError('torch: cannot be imported') from None"])
def test_ctrl_c_while_a_library_is_imported_ends_without_a_traceback(
    raised: str, config_file: Callable[..., Path], tmp_path: Path
) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    marker = tmp_path / "importing"
    (slow / "torch.py").write_text(
        f"import time\ntry:\n    open({str(marker)!r}, 'w').close()\n    time.sleep(60)\n"
        f"except KeyboardInterrupt:\n    {raised}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "multitask", "train", str(config_file()), "--out", str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": f"{slow}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not marker.exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert errors.count("\n") <= 1
    assert not (tmp_path / "run").exists()
