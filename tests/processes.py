"""Processes that begin with everything imported, in the place of ``subprocess.Popen`` and ``subprocess.run``.

A fresh interpreter computes for 7 s to import torch, timm and this package. ``Forked`` is as real a process, with a
pid, streams, signals and an exit code of its own, but is forked from a server that has imported them
(``multiprocessing``'s fork server, one per process of tests)::

    process = Forked([sys.executable, "-m", "multitask", "train", "config.yaml"], stdout=subprocess.PIPE)

Workers that a study starts in it are forked as well, unless its environment has ``FRESH_WORKERS``. With ``MACHINE`` in
the environment it runs in the network namespace of that name, and takes the name for its host's. What a test shows of
a process's beginning itself (what it imports, ``-P``, variables that libraries read as they are loaded, as
OMP_NUM_THREADS) needs a fresh one.

What is to be killed or interrupted at some moment stops itself there, by ``stops_after`` in its environment, and is
waited for by ``wait_until_stopped``: however slow the machine, it is not past it.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import importlib
import io
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import psutil

_ROOT = str(Path(__file__).parents[1])

FRESH_WORKERS = "MULTITASK_TEST_FRESH_WORKERS"
MACHINE = "MULTITASK_TEST_MACHINE"
MARK = "MULTITASK_TEST_MARK"
_STOPS = "MULTITASK_TEST_STOPS"

PRELOADED = [
    "multitask.bakeoff.bakeoff", "multitask.cli.group", "multitask.cli.streams", "multitask.inference.serve",
    "multitask.pseudo.rounds", "multitask.recipe.recipe", "multitask.runs.cross_validation", "multitask.runs.page",
    "multitask.runs.run", "multitask.study.study", "matplotlib.backends.backend_agg", "optuna.storages",
    "sqlalchemy.dialects.sqlite", "timm", "torch._dynamo",
]  # fmt: skip


@dataclass(frozen=True)
class _Beginning:
    """How a process begins.

    Attributes:
        words: the command, from the interpreter on.
        streams: the standard ones.
        passed: other descriptors, by the numbers that the words call them.
        family: the file with the numbers of the processes that it has started.
    """

    words: list[str]
    cwd: str | None
    environment: dict[str, str]
    streams: list[Connection]
    passed: dict[int, Connection]
    hears_interrupts: bool
    new_session: bool
    process_group: int
    family: Path


class Forked(subprocess.Popen[Any]):
    """``Popen`` of ``[sys.executable, "-m", name, ...]`` or ``[sys.executable, "-c", code, ...]``, forked.

    It knows the options ``stdin``, ``stdout``, ``stderr`` and those of their text, ``cwd``, ``env``, ``pass_fds``,
    ``process_group`` and ``start_new_session``. What is passed has another number there, which its word is changed to.
    """

    _mine: Path | None = None

    def _execute_child(  # type: ignore[no-untyped-def]
        self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell,
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid, umask,
        start_new_session, process_group,
    ) -> None:  # fmt: skip
        """Starts it; in the place of fork and exec."""
        assert preexec_fn is None
        assert not shell
        descriptor, family = tempfile.mkstemp()
        os.close(descriptor)
        self._family = Path(family)
        atexit.register(self._family.unlink, missing_ok=True)
        ends = [number if end == -1 else end for number, end in enumerate((p2cread, c2pwrite, errwrite))]
        beginning = _Beginning(
            words=[os.fspath(word) for word in args],
            cwd=cwd and os.fspath(cwd),
            environment=dict(os.environ if env is None else env),
            # As connections, since those are what multiprocessing hands to another process.
            streams=[Connection(os.dup(end)) for end in ends],
            passed={number: Connection(os.dup(number)) for number in pass_fds},
            hears_interrupts=signal.getsignal(signal.SIGINT) != signal.SIG_IGN,
            new_session=start_new_session,
            process_group=process_group,
            family=self._family,
        )
        self._process: Any = context().Process(target=_begin, args=(beginning,), daemon=True)
        sys.path.insert(0, _ROOT)  # which is handed over, and where this module is found
        try:
            self._process.start()
        finally:
            sys.path.remove(_ROOT)
        self.pid = self._process.pid
        self._child_created = True
        if self._mine is not None:
            with self._mine.open("a") as file:
                file.write(f"{self.pid}\n")
        for connection in (*beginning.streams, *beginning.passed.values()):
            connection.close()
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]

    def workers(self) -> list[psutil.Process]:
        """The processes that it has started and that still run, those too that were forked, which are the server's."""
        found = []
        for line in self._family.read_text().splitlines():
            with suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(int(line)))
        with suppress(psutil.NoSuchProcess):
            found.extend(psutil.Process(self.pid).children())
        return found

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._process.exitcode
        return self.returncode

    def _internal_poll(self, _deadstate: object = None) -> int | None:
        return self.poll()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode


def run_forked(words: Sequence[Any], *, timeout: float = 240, **options: Any) -> subprocess.CompletedProcess[Any]:
    """``subprocess.run`` with ``capture_output``, forked."""
    with Forked(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def marked(mark: str) -> list[psutil.Process]:
    """The processes that run, were not forked, and have this mark in the environment that they were given."""
    return [one for one in psutil.process_iter(["environ"]) if (one.info["environ"] or {}).get(MARK) == mark]


def context() -> Any:
    """Of ``multiprocessing``: its processes begin with everything imported."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)
    return found


def stops_after(function: str, when: str = "True") -> dict[str, str]:
    """Variables with which a process stops itself, once, as by SIGSTOP.

    Args:
        function: ``module:Class.method``, after whose end it does.
        when: an expression of its ``args``, at whose first truth it does.
    """
    return {_STOPS: f"{function} {when}"}


def wait_until_stopped(process: subprocess.Popen[Any], seconds: float = 120) -> None:
    """Until it has stopped itself; a signal but SIGKILL is heard once SIGCONT is sent as well."""
    until = time.monotonic() + seconds
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED and process.poll() is None:
            assert time.monotonic() < until, "waited too long"
            time.sleep(0.02)
    assert process.poll() is None, f"it ended: {process.communicate()}"


def kill_once_stopped(process: subprocess.Popen[Any]) -> None:
    """Kills it where it has stopped itself."""
    wait_until_stopped(process)
    process.kill()
    process.communicate()


# --- in the new process -----------------------------------------------------------------------------------------------


def _begin(beginning: _Beginning) -> None:
    """Makes of a process of the server what a fresh one is, and does what the words say."""
    gc.freeze()  # else the collector visits all that was imported, and copies its pages
    sys.path.remove(_ROOT)
    multiprocessing.current_process().daemon = False  # which may have no processes of its own
    if beginning.new_session:
        os.setsid()
    elif beginning.process_group != -1:
        os.setpgid(0, beginning.process_group)
    signal.signal(signal.SIGINT, signal.default_int_handler if beginning.hears_interrupts else signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(beginning.environment)
    if MACHINE in os.environ:
        _move_to(os.environ[MACHINE])
    if beginning.cwd is not None:
        os.chdir(beginning.cwd)
    for number, connection in enumerate(beginning.streams):
        os.dup2(connection.fileno(), number)
        connection.close()
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = _printing(1, sys.stdout.errors)
    sys.stderr = sys.__stderr__ = _printing(2, "backslashreplace")
    _renew(beginning.family)
    stop_where_told()
    numbers = {str(before): str(connection.fileno()) for before, connection in beginning.passed.items()}
    interrupted = False
    try:
        _do([numbers.get(word, word) for word in beginning.words[1:]])
    except KeyboardInterrupt:
        traceback.print_exc()
        interrupted = True
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    if interrupted:
        sys.stdout.flush()
        sys.stderr.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def stop_where_told() -> None:
    """Has this process stop itself where ``stops_after`` says; those that it starts do not."""
    function, _, when = os.environ.pop(_STOPS, "").partition(" ")
    if not function:
        return
    module, _, path = function.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    real, stopped = getattr(owner, name), []

    @functools.wraps(real)
    def call(*args: Any, **options: Any) -> Any:
        result = real(*args, **options)
        if not stopped and eval(when, {"args": args}):
            stopped.append(True)
            os.kill(os.getpid(), signal.SIGSTOP)
        return result

    setattr(owner, name, call)


def _move_to(machine: str) -> None:
    """Joins a network namespace, and names the host of this process and its children after it."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_network, new_host_name = 0x40000000, 0x04000000  # CLONE_NEWNET, CLONE_NEWUTS
    with open(f"/run/netns/{machine}") as namespace:
        failed = libc.setns(namespace.fileno(), new_network) or libc.unshare(new_host_name)
    if failed:
        raise OSError(ctypes.get_errno(), f"cannot join the namespace {machine}")
    socket.sethostname(machine)


def _printing(number: int, errors: str | None) -> TextIO:
    """A standard stream as the interpreter opens it."""
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    return io.TextIOWrapper(
        open(number, "wb", 0 if unbuffered else -1, closefd=False),
        encoding=sys.stdout.encoding,
        errors=errors,
        line_buffering=not unbuffered and (number == 2 or os.isatty(number)),
        write_through=unbuffered,
    )


def _renew(family: Path) -> None:
    """What a fresh process finds out as it imports, and one of the server knows from there."""
    import numpy as np

    from multitask.reporting import console
    from multitask.study import pool

    np.random.seed()
    vars(console.out).update(vars(console.new_console()))
    vars(console._err).update(vars(console.new_console(stderr=True)))
    if os.environ.get(FRESH_WORKERS):
        return
    # Its workers come from the same server, which is not to be started anew.
    Forked._mine = family
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    pool.subprocess = SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL)  # type: ignore[attr-defined]


def _do(words: list[str]) -> None:
    """What the interpreter does with its words."""
    if words[0] == "-P":
        words = words[1:]
    option, what, *rest = words
    if option == "-c":
        sys.argv = ["-c", *rest]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    else:
        assert option == "-m"
        sys.argv = [what, *rest]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
