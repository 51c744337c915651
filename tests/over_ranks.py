"""Real processes for what several of them do together: forked, so that none imports anything anew."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import queue
import signal
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from multitask.utils.process_group import joined


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def over_ranks(
    size: int,
    work: Callable[[int], Any],
    seconds: float = 120.0,
    num_told: int | None = None,
    local_size: int | None = None,
) -> list[Any]:
    """What ``work`` gives in each of ``size`` ranks, or in the ``num_told`` that live; an error or an exit as text.

    They are all of one machine, or else ``local_size`` of each; of one that ends in its middle it is the exit code.
    Where one says nothing, all say where they stand.
    """
    local_size = local_size or size
    context = multiprocessing.get_context("fork")
    port = free_port()
    found: Any = context.Queue()

    def one(rank: int) -> None:
        faulthandler.register(signal.SIGUSR1, file=2)
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        os.environ.update(LOCAL_RANK=str(rank % local_size), LOCAL_WORLD_SIZE=str(local_size))
        try:
            with joined(wait_s=60):
                result = work(rank)
        except SystemExit as error:
            result = f"exit {error.code}"
        except BaseException as error:
            result = f"{type(error).__name__}: {error}"
            if not isinstance(error, ValueError):
                traceback.print_exc()
        found.put((rank, result))

    processes = [context.Process(target=one, args=(rank,)) for rank in range(size)]
    for process in processes:
        process.start()
    results: dict[int, Any] = {}
    until = time.monotonic() + seconds
    try:
        while len(results) < (num_told or size):
            if time.monotonic() > until:
                raise queue.Empty
            with suppress(queue.Empty):
                results.update([found.get(timeout=0.1)])
                continue
            codes = {rank: process.exitcode for rank, process in enumerate(processes)}
            results |= {rank: f"code {code}" for rank, code in codes.items() if (code or 0) > 0}
    except queue.Empty:
        for process in processes:
            if process.is_alive():
                os.kill(process.pid, signal.SIGUSR1)
        time.sleep(1)
        raise
    finally:
        for process in processes:
            process.join(timeout=20)
            process.kill()
    return [results[rank] for rank in sorted(results)]
