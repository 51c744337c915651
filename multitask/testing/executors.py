"""The contract of executors: what they are given runs, its end is told in a line, and nothing is left of it."""

from __future__ import annotations

import time
from pathlib import Path

from multitask.executors import Executor, ExecutorSettings, StartedWorker
from multitask.settings import validate
from multitask.testing.expect import expect

_TICKS = "import pathlib, sys, time\nwhile True: pathlib.Path(sys.argv[1]).touch(); time.sleep(0.05)"
"""A command that shows for ever that it runs."""


def _wait(started: StartedWorker, seconds: float) -> str | None:
    until = time.monotonic() + seconds
    while (said := started.ended()) is None and time.monotonic() < until:
        time.sleep(0.02)
    return said


def _appears(path: Path, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.02)
    return path.exists()


def check_executor(settings: ExecutorSettings, folder: Path, seconds: float = 60) -> None:
    """The contract of executors, whole, over one of them.

    >>> from multitask.executors import EXECUTORS
    >>> check_executor(EXECUTORS["processes"](), Path("/nowhere"))

    Args:
        settings: the executor.
        folder: an empty one, which its workers see.
        seconds: within which a command must begin, and end.

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
        UserError: its engine cannot be reached.
    """
    again = validate(type(settings), settings.model_dump(mode="json"))
    expect(again == settings, settings, f"read back as it was written, not as {again!r}")
    executor = settings.open(folder)
    if executor is None:  # workers are processes of the launch itself
        return
    try:
        _check_open(executor, settings, folder, seconds)
    finally:
        executor.close()


def _check_open(executor: Executor, settings: ExecutorSettings, folder: Path, seconds: float) -> None:
    log = folder / "worker.log"
    word = "import os; print(os.environ['MULTITASK_CHECK'])"
    said = _wait(executor.start(["-P", "-c", word], {"MULTITASK_CHECK": "heard"}, log), seconds)
    expect(said is not None, settings, "say that a command has ended")
    heard = log.exists() and "heard" in log.read_text()
    expect(heard, settings, "give a command its environment, and its log")
    said = _wait(executor.start(["-P", "-c", "import os; os.kill(os.getpid(), 9)"], {}, log), seconds)
    expect(bool(said) and "\n" not in str(said), settings, f"say in one line that a command was killed, not {said!r}")
    one, other = folder / "one", folder / "other"
    cancelled = executor.start(["-P", "-c", _TICKS, str(one)], {}, log)
    expect(_appears(one, seconds), settings, "start a command")
    expect(cancelled.ended() is None, settings, "not say of a command that runs that it has ended")
    cancelled.cancel()
    expect(_wait(cancelled, seconds) is not None, settings, "say that a command has ended that was cancelled")
    cancelled.cancel()  # twice is no error
    executor.check()
    executor.start(["-P", "-c", _TICKS, str(other)], {}, log)
    expect(_appears(other, seconds), settings, "start a command after another was cancelled")
    executor.close()
    executor.close()
    for path in (one, other):
        path.unlink()
    left = _appears(one, 0.5) or _appears(other, 0.5)
    expect(not left, settings, "leave nothing running of what was cancelled, or once it is closed")
