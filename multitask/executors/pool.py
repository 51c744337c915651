"""Workers that an executor starts: they connect to the launch, are watched, and are replaced when they are lost."""

from __future__ import annotations

import multiprocessing
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge, wait
from pathlib import Path
from pickle import UnpicklingError
from types import SimpleNamespace
from typing import Any

from multitask.errors import UserError
from multitask.executors.base import Executor, ExecutorSettings, RemoteSettings, StartedWorker
from multitask.executors.line import KEY
from multitask.executors.messages import Beat, Lost, Ready
from multitask.utils.interrupts import interrupts_held
from multitask.utils.pauses import Pauses

_PATIENCE = 3
"""Workers that end before they are ready, one after another, after which the launch stops."""
_CHECK_S = 0.5
"""Between two looks at jobs of which nothing was heard yet."""
_WORD_S = 8.0
"""For which the engine's word is waited for on why a worker is gone."""
_REFUSED_S = 30.0
"""After which an engine is asked again for a worker that it refused."""
_WAITS_S, _AGAIN_S = 10.0, 60.0
"""After which it is told that workers wait, and after which again, if for another reason."""


class RemoteWorker:
    """One worker.

    Attributes:
        number: its place among the workers, from 0.
        idle: whether it waits for a job.
        host: the machine that it runs on, once it is known.
        process: ``pid`` is the number of its process there.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.ticket = secrets.token_hex(8)
        self.idle = False
        self.host = ""
        self.process = SimpleNamespace(pid=0)
        self.connection: Connection | None = None
        self.beat = time.monotonic()
        self.gone: float | None = None
        """When its connection ended, if it has."""

    @property
    def where(self) -> str:
        """`` on HOST``, once it is known."""
        return f" on {self.host}" if self.host else ""

    def send(self, message: Any) -> None:
        """Sends a job, or an answer; that a worker is lost is noticed by ``RemotePool.listen``."""
        if not isinstance(message, bool):
            self.idle = False
        if self.connection is not None:
            with suppress(OSError):
                self.connection.send(message)


class _Refused(StartedWorker):
    """In place of a worker that the engine refused to start, for the moment."""

    def __init__(self, why: str) -> None:
        self._why = why
        self.since = time.monotonic()

    def ended(self) -> None:
        return None

    def waits(self) -> str:
        return self._why

    def cancel(self) -> None:
        pass


class RemotePool:
    """Several workers, asked and heard as those of ``multitask.study.pool.Pool`` are, once it is open.

    Args:
        settings: of the executor.
        module: what each worker runs, which calls ``multitask.executors.line.serve``.
        num_workers: how many.
        folder: for logs and the engine's own files, in a folder that all machines see.
        grace_s: without a sign of life, after which a worker counts as lost.
        say: told, in a line, what workers wait for that do not begin.
    """

    def __init__(
        self,
        settings: ExecutorSettings,
        module: str,
        num_workers: int,
        folder: Path,
        grace_s: float,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._settings = settings
        self._module = module
        self._num_workers = num_workers
        self._folder = folder.resolve()
        self._grace_s = grace_s
        self._say = say
        self._said = ""
        self._num_threads = settings.cpus_per_worker if isinstance(settings, RemoteSettings) else 1
        minutes = settings.queue_timeout_min if isinstance(settings, RemoteSettings) else None
        self._queue_timeout_s = None if minutes is None else 60 * minutes
        self._executor: Executor | None = None
        self._listener: Listener | None = None
        self._key = secrets.token_bytes(32)
        self._arrivals: queue.SimpleQueue[tuple[str, Connection]] = queue.SimpleQueue()
        self._spent = 0
        self._looked = self._served = self._begun = self._told = time.monotonic()
        self._pauses = Pauses(grace_s, self._looked)
        self._closed = False
        self.workers: list[RemoteWorker] = []
        self._jobs: dict[str, StartedWorker] = {}

    def open(self) -> None:
        """Connects to the engine, and starts the workers; ``close`` ends what an error or an interrupt leaves of it.

        Raises:
            UserError: the engine cannot be reached, or refuses.
        """
        self._folder.mkdir(exist_ok=True)
        self._folder.chmod(0o700)  # what is submitted there holds the key of this launch
        self._executor = self._settings.open(self._folder)
        self._listener = _listen("127.0.0.1" if self._engine.host == "127.0.0.1" else "0.0.0.0")
        threading.Thread(target=self._accept, args=(self._listener,), name="accept", daemon=True).start()
        for number in range(self._num_workers):
            self.workers.append(self._start(number))
        self._looked = self._served = time.monotonic()

    @property
    def _engine(self) -> Executor:
        assert self._executor is not None, "not open, or processes, which have no engine"
        return self._executor

    def _start(self, number: int) -> RemoteWorker:
        assert self._listener is not None
        worker = RemoteWorker(number)
        port = self._listener.address[1]
        words = ["-P", "-m", self._module, self._engine.host, str(port), worker.ticket]
        environment = {KEY: self._key.hex(), "OMP_NUM_THREADS": str(self._num_threads)}
        self._jobs[worker.ticket] = self._engine.start(words, environment, self._log(number))
        return worker

    def _log(self, number: int) -> Path:
        return self._folder / f"worker-{number}.log"

    def idle(self) -> list[RemoteWorker]:
        """The workers that wait for a job."""
        return [worker for worker in self.workers if worker.idle]

    def listen(self, timeout_s: float) -> Iterator[tuple[RemoteWorker, Any]]:
        """The messages of workers within the time, and ``Lost`` for those that are gone, which are replaced.

        Raises:
            UserError: the engine is gone, or refuses the only worker; workers end before they are ready, again and
                again, or none starts in time.
        """
        self._welcome()
        connected = [worker.connection for worker in self.workers if worker.connection is not None]
        heard: set[Any] = set(wait(connected, timeout_s)) if connected else set()
        if not connected:
            time.sleep(timeout_s)
        now = time.monotonic()
        paused_s = self._pauses.until(now)
        for worker in self.workers:
            worker.beat += paused_s
        look = now - self._looked >= _CHECK_S
        if look:
            self._looked = now
            self._engine.check()
        for worker in list(self.workers):
            message = None
            if worker.connection is None:
                message = self._asked_for(worker, now) if look else None
            elif worker.connection in heard:
                message = self._heard_from(worker, now)
            elif now - worker.beat > self._grace_s:
                message = Lost(f"the worker{worker.where} showed no sign of life for {self._grace_s:g} s")
            if message is not None:
                yield worker, message
            if isinstance(message, Lost) or (look and self._is_due(worker, now)):
                self._replace(worker)
        self._check_queue(now)
        if look:
            self._tell_waits(now)

    def _replace(self, worker: RemoteWorker) -> None:
        """Starts another in place of a worker; while the engine refuses, it is asked again as long as others work.

        Raises:
            UserError: it refuses, and none works.
        """
        self._end(worker)
        number = worker.number
        try:
            self.workers[number] = self._start(number)
        except UserError as refusal:
            if all(other.connection is None for other in self.workers if other is not worker):
                raise
            self.workers[number] = RemoteWorker(number)
            self._jobs[self.workers[number].ticket] = _Refused(str(refusal))

    def _is_due(self, worker: RemoteWorker, now: float) -> bool:
        """Whether the engine, which refused to start a worker, is to be asked again."""
        job = self._jobs[worker.ticket]
        return isinstance(job, _Refused) and now - job.since > _REFUSED_S

    def _heard_from(self, worker: RemoteWorker, now: float) -> Any:
        """A message that is for others; None: it was for the pool alone, or the worker is gone."""
        assert worker.connection is not None
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            worker.connection.close()
            worker.connection, worker.idle, worker.gone = None, False, now
            return None
        except (AttributeError, ImportError, TypeError, UnpicklingError):
            raise UserError(f"the worker{worker.where} runs other code of multitask than this launch") from None
        worker.beat = now
        if isinstance(message, Ready):
            worker.idle, worker.host, worker.process.pid = True, message.host, message.process
            self._spent = 0
            return None
        return None if isinstance(message, Beat) else message

    def _asked_for(self, worker: RemoteWorker, now: float) -> Lost | None:
        """What the engine says of a worker that is not connected; None: it may come, or it is soon known why not."""
        said = self._jobs[worker.ticket].ended()
        if worker.gone is not None:
            late = now - worker.gone > _WORD_S
            return Lost(said or f"the worker{worker.where} is gone") if said or late else None
        if said is None:
            return None
        self._spent += 1
        if self._spent >= _PATIENCE:
            log = self._log(worker.number)
            more = f"; {log} says more" if log.exists() and log.stat().st_size else ""
            raise UserError(f"workers do not start ({said}){more}")
        return Lost(said)

    def _tell_waits(self, now: float) -> None:
        """Says what those wait for that have not begun, once it is for long, and again where it is something else."""
        waiting = [worker for worker in self.workers if worker.connection is None and worker.gone is None]
        told = [text for worker in waiting if (text := self._jobs[worker.ticket].waits()) is not None]
        if not told:
            self._begun, self._said = now, ""
        elif now - self._begun > _WAITS_S and (not self._said or now - self._told > _AGAIN_S):
            text = f"{len(told)} of {len(self.workers)} workers wait: {told[0]}"
            if text != self._said:
                self._said, self._told = text, now
                self._say(text)

    def _check_queue(self, now: float) -> None:
        if any(worker.connection is not None for worker in self.workers):
            self._served = now
        elif self._queue_timeout_s is not None and now - self._served > self._queue_timeout_s:
            minutes = self._queue_timeout_s / 60
            raise UserError(f"executor: no worker has begun within queue_timeout_min ({minutes:g}); all of them wait")

    def _end(self, worker: RemoteWorker) -> None:
        if worker.connection is not None:
            worker.connection.close()  # which ends its process
        if (job := self._jobs.pop(worker.ticket, None)) is not None:  # else it has ended, and none is in its place
            job.cancel()

    def _welcome(self) -> None:
        """Takes in those who have connected."""
        while not self._arrivals.empty():
            ticket, connection = self._arrivals.get()
            waits = (one for one in self.workers if one.connection is None and one.gone is None)
            worker = next((one for one in waits if one.ticket == ticket), None)
            if worker is None:  # it was given up meanwhile
                connection.close()
            else:
                worker.connection, worker.beat = connection, time.monotonic()

    def _accept(self, listener: Listener) -> None:
        while not self._closed:
            try:
                connection = listener.accept()
            except (OSError, AttributeError):  # the latter where it was held up while it was closed
                time.sleep(_CHECK_S)  # as long as the process has no descriptor left
                continue
            # Each by itself, since whoever connects may say nothing for ever.
            threading.Thread(target=self._admit, args=(connection,), daemon=True).start()

    def _admit(self, connection: Connection) -> None:
        try:
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
            self._arrivals.put((str(connection.recv()), connection))
        except (OSError, EOFError, multiprocessing.AuthenticationError, ValueError):
            connection.close()

    def close(self) -> None:
        """Ends all workers, those that still wait too, whatever is interrupted meanwhile."""
        if self._closed:
            return
        with interrupts_held():
            self._closed = True
            if self._listener is not None:
                with suppress(OSError):  # so that the thread that accepts is woken, and ends
                    socket.create_connection(("127.0.0.1", self._listener.address[1]), timeout=1).close()
                self._listener.close()
            for worker in self.workers:
                with suppress(UserError):
                    self._end(worker)
            self.workers = []
            if self._executor is not None:
                self._executor.close()


def _listen(address: str) -> Listener:
    return Listener((address, 0), family="AF_INET", backlog=128)
