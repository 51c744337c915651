"""The process that speaks with Ray for a launch.

    python -P -m multitask.executors.ray_driver FILE_DESCRIPTOR

Over the pipe of that number it is given Ray's address, says ``ready`` or ``refused``, then is given commands to
``start`` and to ``cancel``, and says how each ``ended``, or that Ray is ``gone``. When the other end is gone, so is it,
and with it what it has started. What Ray prints, stack traces too, goes to the launch's log.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

_TICK_S = 0.1
_LOOK_S, _PATIENCE = 1.0, 5
"""Between two looks at Ray's head, and how many in a row it may not answer."""


def main() -> None:
    """The driver's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the launch's to handle
    line = Connection(int(sys.argv[1]))
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a worker without a GPU sees none
    }
    import ray

    try:
        _connect(ray, address := line.recv())
        host = "127.0.0.1" if address is None else ray.util.get_node_ip_address()
    except Exception as error:  # of many kinds, Ray's and others'
        line.send(("refused", _line(error)))
        return
    line.send(("ready", host))
    head = str(ray.get_runtime_context().gcs_address)
    threading.Thread(target=_watch, args=(head, line), name="watch", daemon=True).start()
    try:
        _serve(ray, line)
    except (EOFError, OSError):
        pass  # the launch has ended
    except Exception as error:
        line.send(("gone", _line(error)))
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    own = {"address": "local", "include_dashboard": False}
    given: dict[str, Any] = own if address is None else {"address": address}
    ray.init(**given, log_to_driver=False, configure_logging=False, logging_level="CRITICAL")


def _watch(head: str, line: Connection) -> None:
    """Says that Ray is gone, and ends the process, once its head does not answer; Ray itself would wait for minutes."""
    host, _, port = head.rpartition(":")
    silent = 0
    while silent < _PATIENCE:
        time.sleep(_LOOK_S)
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_LOOK_S).close()
            silent = 0
        except OSError:
            silent += 1
    line.send(("gone", f"its head does not answer at {head}"))
    os._exit(1)


def _serve(ray: Any, line: Connection) -> None:
    from multitask.executors.command import run_command

    # A lost worker is the launch's to start again.
    remote = ray.remote(max_retries=0)(run_command)
    tasks: dict[Any, int] = {}
    while True:
        if line.poll(_TICK_S):
            kind, number, *rest = line.recv()
            if kind == "start":
                *words, wants = rest
                tasks[remote.options(**wants).remote(*words)] = number
            else:
                for task in [task for task, own in tasks.items() if own == number]:
                    ray.cancel(task, force=True)
        done, _ = ray.wait([*tasks], num_returns=len(tasks), timeout=0) if tasks else ([], [])
        for task in done:
            line.send(("ended", tasks.pop(task), _how_it_ended(ray, task)))


def _how_it_ended(ray: Any, task: Any) -> str:
    try:
        return str(ray.get(task))
    except ray.exceptions.WorkerCrashedError:
        return "Ray's process of the worker was killed"
    except ray.exceptions.RayError as error:
        return _line(error)


def _line(error: Exception) -> str:
    """The first line with something in it, without what Ray appends of its own stack."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return text[:300]


if __name__ == "__main__":
    main()
