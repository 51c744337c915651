"""``multitask serve``, as a real process too: it says where it is, answers, and ends by Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.testing import tiny_run
from tests.cli.conftest import Called
from tests.processes import Forked

HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("serve"))


def test_it_says_where_it_is_and_ends_by_ctrl_c(trained: Path) -> None:
    process = Forked(
        [sys.executable, "-m", "multitask", "serve", str(trained), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    address = line.split()[0]
    assert address.startswith("http://127.0.0.1:")
    assert "Ctrl-C ends it" in line
    with urllib.request.urlopen(address, timeout=60) as reply:
        assert b"Drop an image" in reply.read()
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (said, errors) == ("stopped\n", "")


def test_mistakes_are_a_line(call: Callable[..., Called], trained: Path, tmp_path: Path) -> None:
    assert "no run" in call("serve", tmp_path).refusal()
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no export")
    assert "bad.onnx" in call("serve", bad).refusal()
