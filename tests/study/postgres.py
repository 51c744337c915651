"""A real PostgreSQL server, which tests start and stop."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "xyzzy"


class Server:
    """A server whose files are in a folder of its own; it runs as somebody else where we are root, whom it refuses."""

    def __init__(self, binaries: Path, folder: Path, address: str) -> None:
        self.address = address
        self._binaries = binaries
        self._folder = folder
        self._user = None
        if os.geteuid() == 0:
            self._user = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
            shutil.chown(folder, self._user)
        with socket.socket() as free:
            free.bind((address, 0))
            self.port = free.getsockname()[1]
        (folder / "password").write_text(PASSWORD)
        self._run("initdb", "-U", "anna", "-A", "scram-sha-256", "--pwfile", str(folder / "password"), "-N")
        with (folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._binaries / program), "-D", str(self._folder / "data"), *words]
        # To a file, since a pipe would be the server's too, and never end.
        with (self._folder / "output").open("ab") as output:
            done = subprocess.run(
                command, cwd=self._folder, user=self._user, stdout=output, stderr=output, timeout=60, check=False
            )
        assert done.returncode == 0, (self._folder / "output").read_text()

    def start(self) -> None:
        options = f"-h {self.address} -p {self.port} -k {self._folder} -F"
        self._run("pg_ctl", "start", "-w", "-l", str(self._folder / "log"), "-o", options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def make_database(self, name: str) -> str:
        """The address of a new database."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def url(self, database: str = "postgres", password: str = f":{PASSWORD}", host: str | None = None) -> str:
        return f"postgresql://anna{password}@{host or self.address}:{self.port}/{database}"


@contextmanager
def started(address: str = "127.0.0.1") -> Iterator[Server]:
    """A server that listens at an address of this machine; the test is skipped where it or the driver is missing."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install multitask[postgres]")
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        pytest.skip("PostgreSQL's server is not installed (on Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="multitask-postgres-"))  # pytest's own folders are root's alone
    try:
        server = Server(places[-1], folder, address)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
