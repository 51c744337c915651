"""A command on a worker's machine: Python run with some words, and how that ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

_DIES_WITH_PARENT = (
    "import ctypes, os, signal, sys; "
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL); "  # PR_SET_PDEATHSIG, which stays as it turns into the worker
    "os.getppid() == int(sys.argv[1]) or os._exit(1); "  # which was gone before that
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)


def run_command(words: Sequence[str], environment: Mapping[str, str], log: str) -> str:
    """Runs this machine's Python to its end.

    Args:
        words: after ``python``.
        environment: in addition to this process's.
        log: the file that takes what it prints.

    Returns:
        How it ended, in a line.
    """
    try:
        output = open(log, "ab")  # noqa: SIM115 (closed below, but its error is said in other words)
    except OSError as error:
        return (
            f"{os.path.dirname(log)} cannot be written to on {socket.gethostname()} ({error.strerror}); "
            "--out must be a folder that all machines see under the same path"
        )
    with output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _DIES_WITH_PARENT, str(os.getpid()), *words],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,  # Ctrl-C in a terminal is for the launch alone
        )
        try:
            code = process.wait()
        except BaseException:  # the engine ends the job
            process.kill()
            process.wait()
            raise
    host = socket.gethostname()
    return f"the worker on {host} ended with exit code {code}" if code >= 0 else f"the worker on {host} was killed"
