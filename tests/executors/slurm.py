"""A real SLURM of one machine, which tests start and stop: munged, slurmctld and slurmd, of two processors."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "srun", "scontrol", "sinfo")
_SYSTEM = "/usr/local/sbin:/usr/sbin:/sbin"
_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
KillWait=2
MessageTimeout=3
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES State=UP
"""


class Slurm:
    """A SLURM whose files are in a folder of its own; its commands find it by ``SLURM_CONF``."""

    def __init__(self, folder: Path) -> None:
        self.conf = folder / "slurm.conf"
        self._folder = folder
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("munge", "state", "spool"):
            (folder / name).mkdir(mode=0o700)
        self._key = folder / "munge" / "key"
        self._key.write_bytes(secrets.token_bytes(128))
        self._key.chmod(0o400)
        user = pwd.getpwuid(os.geteuid()).pw_name
        host = socket.gethostname().split(".")[0]
        self.conf.write_text(_CONF.format(folder=folder, host=host, user=user, ports=_free_ports(2)))

    def start(self) -> None:
        """Starts all of it; within a minute it takes jobs."""
        munge = self._folder / "munge"
        words = [f"--{name}={munge / name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
        self._start("munged", "--foreground", "--force", f"--key-file={self._key}", *words)
        self._wait((munge / "socket").exists)
        self.start_controller()
        self._start("slurmd", "-D", "-f", str(self.conf))
        self._wait(lambda: self.run("sinfo", "--noheader", "--format=%T").split() == ["idle"])

    def start_controller(self) -> None:
        """Starts slurmctld, which answers soon."""
        self._start("slurmctld", "-D", "-f", str(self.conf))
        self._wait(lambda: "UP" in self.run("scontrol", "ping"))

    def stop_controller(self) -> None:
        """Ends slurmctld; jobs go on. Killed, it forgets those that just began, and drains their node for them."""
        daemon = self._daemons.pop("slurmctld")
        daemon.terminate()
        daemon.wait(30)

    def run(self, *words: str) -> str:
        """What a command of SLURM's prints."""
        environment = {**os.environ, "SLURM_CONF": str(self.conf)}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def jobs(self) -> dict[str, str]:
        """The states of those that wait or run, by their numbers."""
        return dict(line.split("|") for line in self.run("squeue", "--noheader", "--format=%i|%T").splitlines())

    def wait_until_empty(self) -> None:
        """Until nothing waits or runs."""
        self._wait(lambda: not self.jobs(), 30)

    def close(self) -> None:
        """Ends what runs, and all of it."""
        if "slurmctld" in self._daemons:
            self.run("scancel", "--user", str(os.geteuid()))
            with suppress(AssertionError):
                self.wait_until_empty()
        for daemon in reversed(self._daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _start(self, name: str, *words: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as output:
            self._daemons[name] = subprocess.Popen(
                [str(shutil.which(name, path=_paths())), *words],
                env={**os.environ, "SLURM_CONF": str(self.conf)},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _wait(self, condition: Callable[[], object], seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not condition():
            ended = [name for name, daemon in self._daemons.items() if daemon.poll() is not None]
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in self._folder.glob("*.log"))
            assert not ended, f"{ended} ended: {logs}"
            assert time.monotonic() < until, f"waited {seconds} s in vain: {logs}"
            time.sleep(0.1)


def _paths() -> str:
    return f"{os.environ['PATH']}:{_SYSTEM}"


def _free_ports(num: int) -> list[int]:
    sockets = [socket.socket() for _ in range(num)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return found


@contextmanager
def started() -> Iterator[Slurm]:
    """A SLURM that takes jobs; the test is skipped where it is not installed."""
    missing = [name for name in _NEEDED if shutil.which(name, path=_paths()) is None]
    if missing:
        pytest.skip(f"SLURM is not installed: {', '.join(missing)} (on Debian: apt-get install slurm-wlm munge)")
    folder = Path(tempfile.mkdtemp(prefix="multitask-slurm-"))
    try:
        slurm = Slurm(folder)
        try:
            slurm.start()
            yield slurm
        finally:
            slurm.close()
    finally:
        shutil.rmtree(folder)
