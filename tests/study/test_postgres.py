"""Studies in a real PostgreSQL server, on loopback."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import text

from multitask.errors import UserError
from multitask.study import trial_attrs
from multitask.study.settings import HeartbeatSettings
from multitask.study.storage import open_storage
from multitask.study.study import read_study
from tests.processes import stops_after, wait_until_stopped
from tests.study.conftest import AN_EPOCH
from tests.study.postgres import PASSWORD, Server, started

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Shared by the tests of this file."""
    with started() as server:
        yield server


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest) -> str:
    """The name of an empty database."""
    name = f"of_{abs(hash(request.node.name))}"
    server.make_database(name)
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
    launch = start(*words, stops=stops_after(AN_EPOCH))
    wait_until_stopped(launch.process)
    workers = launch.workers()
    server.stop()
    try:
        launch.process.send_signal(signal.SIGCONT)
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


def test_a_machine_that_is_gone_while_it_holds_a_lock_holds_up_the_others_no_longer_than_its_grace(
    server: Server, database: str
) -> None:
    url = server.url(database)
    heartbeat = HeartbeatSettings(interval_s=1, grace_s=3)
    gone, there = open_storage(url, heartbeat), open_storage(url, heartbeat)
    study_id = there.create_new_study([StudyDirection.MAXIMIZE], "shared")
    with gone.engine.connect() as silent:  # nothing more is heard of it, as after a cut in a new trial's midst
        silent.execute(text("SELECT * FROM studies FOR UPDATE"))
        with there.engine.begin() as line:
            line.execute(text("SET lock_timeout = '30s'"))
            line.execute(text("SELECT * FROM studies FOR UPDATE"))
        there.create_new_trial(study_id)
        silent.invalidate()
    for storage in (gone, there):
        storage.engine.dispose()
