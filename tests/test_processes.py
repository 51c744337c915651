"""A forked process is what a fresh interpreter would be, but for what is imported."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.processes import Forked, run_forked

PYTHON = sys.executable

STATE = """
import os, signal, sys, threading
print(sys.argv, os.getcwd(), sorted(os.environ.items()), __name__)
print([signal.getsignal(number) for number in range(1, 32)], signal.pthread_sigmask(signal.SIG_BLOCK, []))
print([(stream.encoding, stream.errors, stream.line_buffering, stream.isatty()) for stream in (sys.stdout, sys.stderr)])
print(os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid(), threading.active_count(), sys.stdin.read())
print([line for line in open("/proc/self/status") if line.startswith(("SigBlk", "SigIgn", "Threads", "Umask"))])
"""


def sleeping(start: type[subprocess.Popen[Any]]) -> subprocess.Popen[Any]:
    process = start([PYTHON, "-c", "import time; print('here', flush=True); time.sleep(60)"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    return process


@pytest.mark.parametrize("options", [{}, {"process_group": 0}, {"start_new_session": True}, {"ignored": True}])
def test_it_begins_as_a_fresh_one(options: dict[str, Any], tmp_path: Path) -> None:
    if options.pop("ignored", False):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    said = []
    for start in (subprocess.Popen, Forked):
        environment = {**os.environ, "HOME": str(tmp_path)}
        with start(
            [PYTHON, "-c", STATE, "a", "--b"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=tmp_path, env=environment, **options,
        ) as process:  # fmt: skip
            said.append(process.communicate("asked"))
        assert process.returncode == 0, said
    fresh, forked = said
    assert forked[0] == fresh[0]
    assert fresh[1] == forked[1] == ""
    assert "asked" in forked[0]


@pytest.mark.parametrize(
    ("code", "returned"),
    [
        ("pass", 0),
        ("import sys; sys.exit(3)", 3),
        ("raise SystemExit('said')", 1),
        ("1 / 0", 1),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -2),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
        ("import os, signal; signal.signal(2, signal.SIG_IGN); os.kill(os.getpid(), 2); print('heard')", 0),
        ("import atexit; atexit.register(print, 'at the end'); print('before')", 0),
        ("import threading, time; threading.Thread(target=lambda: (time.sleep(0.2), print('after'))).start()", 0),
    ],
)
def test_it_ends_as_a_fresh_one(code: str, returned: int) -> None:
    fresh = subprocess.run([PYTHON, "-c", code], text=True, capture_output=True)
    forked = run_forked([PYTHON, "-c", code], text=True)
    assert fresh.returncode == forked.returncode == returned
    assert fresh.stdout == forked.stdout
    assert fresh.stderr.splitlines()[-1:] == forked.stderr.splitlines()[-1:]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_hears_signals(number: signal.Signals) -> None:
    with sleeping(Forked) as process:
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.send_signal(number)
        assert process.wait(30) == -number
    assert not psutil.pid_exists(process.pid)


def test_it_is_at_a_terminal_where_its_streams_are_one() -> None:
    code = (
        "import sys; from multitask.reporting.console import out\n"
        "print(sys.stdout.isatty(), out.is_terminal, out.width)"
    )
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "77", "LINES": "9"}
    with Forked([PYTHON, "-c", code], stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        assert process.wait(30) == 0
    assert os.read(master, 100).decode().split() == ["True", "True", "77"]
    os.close(master)
    assert run_forked([PYTHON, "-c", code], text=True).stdout.split()[:2] == ["False", "False"]


def test_it_has_imported_before_it_begins_and_passes_descriptors() -> None:
    code = "import os, sys; os.write(int(sys.argv[1]), repr('torch' in sys.modules).encode())"
    read, write = os.pipe()
    with Forked([PYTHON, "-P", "-c", code, str(write)], pass_fds=[write]) as process:
        os.close(write)
        assert os.read(read, 100) == b"True"
        assert os.read(read, 100) == b""  # nobody else holds the other end
    os.close(read)
    assert process.returncode == 0


def test_what_it_starts_for_a_study_is_forked_and_known() -> None:
    code = (
        "import sys, multitask.study.pool as pool\n"
        "started = pool.subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(started.pid, flush=True)\n"
        "started.kill(); sys.stdin.readline(); print(started.wait(), flush=True)"
    )
    with Forked([PYTHON, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        number = int(process.stdout.readline())
        assert {worker.pid for worker in process.workers()} <= {number}
        assert process.communicate("\n") == ("-9\n", None)


def test_they_start_from_several_threads_at_once() -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(run_forked([PYTHON, "-c", "print(1)"], text=True).stdout))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["1\n"] * 4
