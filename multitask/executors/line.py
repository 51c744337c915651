"""A worker's end of the line to its launch: a pipe, or a connection that the worker makes."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Client, Connection
from typing import Any

from multitask.executors.messages import Beat, Ready, Warned
from multitask.progress import Progress

KEY = "MULTITASK_WORKER_KEY"
"""The environment variable with the launch's key, which both ends prove to each other that they have."""
BEAT_S = 0.5


class Line:
    """The worker's end.

    Args:
        connection: open.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()  # the beat comes from a thread of its own

    def send(self, message: object) -> None:
        """Sends a message; where the launch has closed the line, the process ends."""
        try:
            with self._lock:
                self._connection.send(message)
        except OSError:
            os._exit(1)

    def receive(self) -> Any:
        """The next message; where the launch has closed the line, the process ends."""
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            os._exit(0)

    def beat(self) -> None:
        """Sends a heartbeat every ``BEAT_S`` seconds, for ever."""
        while True:
            self.send(Beat())
            time.sleep(BEAT_S)


class LineProgress(Progress):
    """Passes a run's warnings to the launch, whose own progress tells all else."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def warn(self, text: str) -> None:
        """Sent."""
        self._line.send(Warned(text))


def serve(do: Callable[[Any, Line], object], words: Sequence[str] | None = None) -> None:
    """The worker's process: does jobs until the launch closes the line.

    Args:
        do: from a job, and the line for what comes before its end, to the last message.
        words: of the command line; the number of a file descriptor, or host, port and ticket of the launch.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the launch's to handle
    words = sys.argv[1:] if words is None else words
    if len(words) == 1:
        line, ready = Line(Connection(int(words[0]))), Ready()
    else:
        line, ready = Line(_connect(*words)), Ready(socket.gethostname(), os.getpid())
    threading.Thread(target=line.beat, name="beat", daemon=True).start()
    line.send(ready)
    while True:
        line.send(do(line.receive(), line))


def _connect(host: str, port: str, ticket: str) -> Connection:
    key = bytes.fromhex(os.environ.pop(KEY))
    try:
        connection = Client((host, int(port)), family="AF_INET", authkey=key)
        connection.send(ticket)
    except OSError as error:
        sys.exit(f"the launch cannot be reached at {host}:{port} from {socket.gethostname()}: {error}")
    except EOFError:
        sys.exit(f"the launch at {host}:{port} has ended")
    return connection
