"""Machines of a test: network namespaces with an address and a host name each, linked with this one by TCP/IP alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

# 198.18.0.0/15 is set aside for tests of networks (RFC 2544): each process of tests has a part of its own.
_PART = divmod(os.getpid() % 512, 256)
_SUBNET = f"198.{18 + _PART[0]}.{_PART[1]}"


@dataclass(frozen=True)
class Machine:
    """A network namespace.

    Attributes:
        name: its host name, that of its namespace, and that of its link at this end.
        gateway: this machine's address as seen from there.
        address: its own.
    """

    name: str
    gateway: str
    address: str

    def pids(self) -> list[int]:
        """The processes that run there."""
        return [int(pid) for pid in _ip("netns", "pids", self.name).split()]

    def unplug(self) -> None:
        """Cuts its link: nobody is told, as where a machine loses its power."""
        _ip("link", "set", self.name, "down")

    def kill(self) -> list[int]:
        """Kills every process there at once; which they were."""
        killed: list[int] = []
        while pids := set(self.pids()) - set(killed):  # until none has started another meanwhile
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed += pids
        return killed


@contextmanager
def machines(num: int) -> Iterator[list[Machine]]:
    """Some machines; the test is skipped where they cannot be had."""
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed (on Debian: apt-get install iproute2)")
    made: list[Machine] = []
    try:
        for number in range(num):
            net = f"{_SUBNET}.{4 * number}"
            base, _, last = net.rpartition(".")
            machine = Machine(f"mt{os.getpid()}-{number}", f"{base}.{int(last) + 1}", f"{base}.{int(last) + 2}")
            _link(machine, made)
        yield made
    finally:
        for machine in made:
            machine.kill()
            with suppress(subprocess.CalledProcessError):  # there is no link where making it failed
                _ip("link", "del", machine.name)  # at once; with the namespace alone it goes some time later
            _ip("netns", "del", machine.name)


def _link(machine: Machine, made: list[Machine]) -> None:
    name = machine.name
    try:
        _ip("netns", "add", name)
        made.append(machine)
        _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
    except subprocess.CalledProcessError as error:
        if "exists" in error.stderr:  # of ours
            raise
        pytest.skip(f"network namespaces are not permitted here: {error.stderr.strip()}")
    _ip("addr", "add", f"{machine.gateway}/30", "dev", name)
    _ip("link", "set", name, "up")
    _ip("-n", name, "addr", "add", f"{machine.address}/30", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", name, "link", "set", device, "up")
    _ip("-n", name, "route", "add", "default", "via", machine.gateway)


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=20).stdout
