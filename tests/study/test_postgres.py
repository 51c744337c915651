"""A real PostgreSQL server, on loopback, that the tests start and stop."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from multitask.errors import UserError
from multitask.study import trial_attrs
from multitask.study.study import read_study

Make = Callable[..., Any]

PASSWORD = "xyzzy"


class Server:
    """A server whose files are in a folder of its own; it runs as somebody else where we are root, whom it refuses."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        self._user = None
        if os.geteuid() == 0:
            self._user = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
            shutil.chown(folder, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "password").write_text(PASSWORD)
        self._run("initdb", "-U", "anna", "-A", "scram-sha-256", "--pwfile", str(folder / "password"), "-N")

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._binaries / program), "-D", str(self._folder / "data"), *words]
        # To a file, since a pipe would be the server's too, and never end.
        with (self._folder / "output").open("ab") as output:
            done = subprocess.run(
                command, cwd=self._folder, user=self._user, stdout=output, stderr=output, timeout=60, check=False
            )
        assert done.returncode == 0, (self._folder / "output").read_text()

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self._folder} -F"
        self._run("pg_ctl", "start", "-w", "-l", str(self._folder / "log"), "-o", options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def url(self, database: str = "postgres", password: str = f":{PASSWORD}") -> str:
        return f"postgresql://anna{password}@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """With the driver; skipped where either is missing."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install multitask[postgres]")
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        pytest.skip("PostgreSQL's server is not installed (on Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="multitask-postgres-"))  # pytest's own folders are root's alone
    try:
        server = Server(places[-1], folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest) -> str:
    """The name of an empty database."""
    import psycopg

    name = f"of_{abs(hash(request.node.name))}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return name


def test_four_workers_of_two_launches_share_a_study_and_one_launch_is_killed(
    server: Server, database: str, share: Make, places: Make, tmp_path: Path
) -> None:
    trials = share(server.url(database), trials=6, workers=2)
    assert len(places(trials)) == 6
    assert all(chain[-1].state == TrialState.COMPLETE for chain in places(trials).values())
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.FAIL}
    lost = [trial for trial in trials if trial_attrs.is_lost(trial)]
    assert 1 <= len(lost) <= 2
    assert {trial.user_attrs[trial_attrs.FAILURE] for trial in lost} == {"no sign of life for 6 s"}
    ran = {trial.user_attrs[trial_attrs.WORKER]["process"] for trial in trials if not trial_attrs.is_surplus(trial)}
    assert len(ran) == 4
    for name in ("one", "two"):
        assert PASSWORD not in "".join(path.read_text() for path in (tmp_path / name).glob("*.*") if path.is_file())
    # The report is made anew from what the server has, given the password.
    _, _, study = read_study(tmp_path / "two", server.url(database))
    assert len(study.trials) == len(trials)
    study._storage._backend.engine.dispose()  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=f"127.0.0.1:{server.port} cannot be reached: .*password"):
        read_study(tmp_path / "two")


def test_a_server_that_goes_away_ends_the_launch_in_a_line_and_the_same_line_goes_on(
    server: Server, database: str, start: Make, study_file: Make, read: Make, tmp_path: Path, places: Make
) -> None:
    file = study_file(
        None, {"training.epochs": 6}, budget={"trials": 2}, heartbeat={"interval_s": 1, "grace_s": 4}, pruner="none"
    )
    words = (file, "--storage", server.url(database), "--out", tmp_path / "out")
    launch = start(*words)
    launch.wait_for(lambda: any((tmp_path / "out").glob("trials/*/metrics.jsonl")))
    workers = launch.workers()
    server.stop()
    try:
        assert launch.wait() == 2
        assert not any(worker.is_running() for worker in workers)
    finally:
        server.start()
    line = launch.output.splitlines()[-1]
    assert line.startswith(f"error: --storage: 127.0.0.1:{server.port} cannot be reached: ")
    assert "Traceback" not in launch.output
    again = start(*words)
    assert again.wait() == 0, again.output
    trials = read(server.url(database))
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert len(places(trials)) == 2
