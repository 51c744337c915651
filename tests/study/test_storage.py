from __future__ import annotations

import os
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import TrialState
from sqlalchemy.engine import Engine

from multitask.errors import UserError
from multitask.study import storage as module
from multitask.study import trial_attrs
from multitask.study.provenance import RECORD, record_of
from multitask.study.settings import HeartbeatSettings
from multitask.study.storage import (
    folder_url,
    for_others,
    load_study_of,
    open_storage,
    open_study,
    reachable,
    resolved,
    shown,
)
from multitask.study.trial_queue import without_heartbeat_warning

Make = Callable[..., Any]

HEARTBEAT = HeartbeatSettings(interval_s=1, grace_s=3)
SECRET = "xyzzy"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return folder_url(tmp_path / "study.db")


@pytest.fixture
def opened(url: str) -> Iterator[Callable[[], RDBStorage]]:
    """Opens the storage as another launch does."""
    storages: list[RDBStorage] = []

    def make() -> RDBStorage:
        storages.append(open_storage(url, HEARTBEAT))
        return storages[-1]

    yield make
    for storage in storages:
        storage.engine.dispose()


@contextmanager
def listening(where: Any, event: str, heard: Callable[..., None]) -> Iterator[None]:
    sqlalchemy.event.listen(where, event, heard)
    try:
        yield
    finally:
        sqlalchemy.event.remove(where, event, heard)


# --- addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("a/study.db", "must be an address like postgresql://user@host/name, found 'a/study.db'"),
        ("postgresql://host:port/name", "must be an address like"),
        ("postgres://host/name", "there is no database 'postgres'"),
        ("nonsense://host/name", "there is no database 'nonsense'"),
        ("sqlite:////nowhere/at/all/study.db", "sqlite:////nowhere/at/all/study.db cannot be reached: unable to open"),
    ],
)
def test_a_wrong_address_is_refused_in_a_line(url: str, part: str) -> None:
    with pytest.raises(UserError) as error:
        open_storage(url, HEARTBEAT)
    assert str(error.value).startswith("--storage: ")
    assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_storage_that_is_gone_with_the_process_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="names no file"):
        resolved(url)


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolved("sqlite:///a/study.db") == f"sqlite:///{tmp_path}/a/study.db"
    for url in (f"sqlite:///{tmp_path}/study.db", f"postgresql://anna:{SECRET}@host/name"):
        assert resolved(url) == url


def test_other_tools_are_given_the_driver_that_is_installed() -> None:
    assert for_others(f"postgresql://anna:{SECRET}@host:7/name") == "postgresql+psycopg://anna@host:7/name"
    assert for_others("postgresql+pg8000://host/name") == "postgresql+pg8000://host/name"
    assert for_others("sqlite:////tmp/study.db") == "sqlite:////tmp/study.db"


def test_no_password_is_shown() -> None:
    assert shown(f"postgresql://anna:{SECRET}@host:7/name") == "postgresql://anna@host:7/name"
    assert shown(f"postgresql://host/name?user=anna&password={SECRET}") == "postgresql://host/name?user=anna"


@pytest.mark.parametrize(
    ("backend", "module_name", "need"),
    [("postgresql", "psycopg", 'pip install "multitask[postgres]"'), ("mysql", "MySQLdb", "its driver")],
)
def test_a_missing_driver_is_told_how_to_install(
    monkeypatch: pytest.MonkeyPatch, backend: str, module_name: str, need: str
) -> None:
    monkeypatch.setitem(sys.modules, module_name, None)
    with pytest.raises(UserError) as error:
        open_storage(f"{backend}://anna:{SECRET}@127.0.0.1/name", HEARTBEAT)
    assert str(error.value).startswith(f"--storage: {backend} needs {need} (")
    assert SECRET not in str(error.value)


def test_a_server_that_does_not_answer_is_named_with_its_port() -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        with pytest.raises(UserError) as error:
            open_storage(f"postgresql://anna:{SECRET}@127.0.0.1:{port}/name", HEARTBEAT)
    assert str(error.value).startswith(f"--storage: 127.0.0.1:{port} cannot be reached: ")
    assert "\n" not in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(("url", "place"), [("postgresql://host/name", "host:5432"), ("oracle://host/name", "host")])
def test_a_storage_that_goes_away_is_named(url: str, place: str) -> None:
    with pytest.raises(UserError) as error, reachable(url):
        raise optuna.exceptions.StorageInternalError("An exception is raised") from OSError("server closed\nbadly")
    assert str(error.value) == f"--storage: {place} cannot be reached: server closed"


def test_tables_of_another_optuna_are_no_traceback(opened: Make, url: str, tmp_path: Path) -> None:
    opened().engine.dispose()
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("update alembic_version set version_num = 'v9.9.9'")
    connection.close()
    with pytest.raises(UserError) as error:
        open_storage(url, HEARTBEAT)
    assert "belongs to another version of Optuna" in str(error.value)


# --- several launches at the same moment -------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["studies", "trials", "alembic_version"])
def test_tables_that_another_launch_makes_at_the_same_moment_are_no_error(url: str, opened: Make, table: str) -> None:
    events = []

    def heard(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        if f"CREATE TABLE {table} " in statement and not events:
            events.append("this one is about to")
            RDBStorage(url).engine.dispose()
            events.append("the other one is quicker")

    with listening(Engine, "before_cursor_execute", heard):
        storage = opened()
    assert len(events) == 2
    optuna.create_study(storage=storage, study_name="a")
    assert optuna.load_study(storage=url, study_name="a").trials == []


def test_a_trial_is_taken_by_one_launch(opened: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite has no locks on rows: both would read that it waits, and both would take it."""
    one = opened()
    monkeypatch.setattr(module, "_BUSY_S", 0.05)
    two = opened()
    optuna.create_study(storage=one, study_name="a").enqueue_trial({})
    trial_id = one.get_all_trials(1)[0]._trial_id
    taken: list[bool] = []

    def heard(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        if statement.startswith("UPDATE trials") and not taken:  # it has read that the trial waits
            taken.append(False)
            with suppress(optuna.exceptions.StorageInternalError):  # it is locked
                taken[0] = two.set_trial_state_values(trial_id, TrialState.RUNNING)  # the other one is quicker

    with listening(one.engine, "before_cursor_execute", heard):
        taken.append(one.set_trial_state_values(trial_id, TrialState.RUNNING))
    assert taken == [False, True]


@pytest.mark.parametrize("statements", range(1, 60, 6))
def test_a_launch_that_is_killed_as_it_makes_the_storage_hinders_no_other(
    make_plan: Make, url: str, statements: int
) -> None:
    plan = make_plan()
    child = os.fork()
    if child == 0:
        done = 0

        def heard(*event: Any) -> None:
            nonlocal done
            done += 1
            if done > statements:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            sqlalchemy.event.listen(Engine, "after_cursor_execute", heard)
            open_study(open_storage(url, HEARTBEAT), plan, record_of(plan, "data"), False)
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    storage = open_storage(url, HEARTBEAT)
    study = open_study(storage, plan, record_of(plan, "data"), False)
    assert [trial.user_attrs for trial in study.trials] == [{trial_attrs.ORIGIN: "base"}]
    storage.engine.dispose()


# --- studies -----------------------------------------------------------------------------------------------------


@pytest.fixture
def study(make_plan: Make, opened: Make) -> Study:
    plan = make_plan()
    return open_study(opened(), plan, record_of(plan, "data"), False)


def test_a_new_study_has_a_record_and_the_base_as_its_first_trial(make_plan: Make, study: Study) -> None:
    plan = make_plan()
    assert study.user_attrs == {RECORD: record_of(plan, "data")}
    assert study.metric_names == list(plan.settings.objective)
    (base,) = study.trials
    assert base.state == TrialState.WAITING
    assert base.user_attrs == {trial_attrs.ORIGIN: "base"}
    assert base.params == plan.space.base_params()[0]


def test_a_base_outside_of_the_space_is_a_trial_too(make_plan: Make, opened: Make) -> None:
    plan = make_plan({"training.lr": {"low": 0.5, "high": 0.6}, "augment.strength": {"low": 0, "high": 1}})
    (base,) = open_study(opened(), plan, record_of(plan, "data"), False).trials
    assert set(base.params) == {"augment.strength"}


def test_a_study_is_taken_up_again(make_plan: Make, study: Study, opened: Make) -> None:
    plan = make_plan()
    with without_heartbeat_warning():
        study.tell(study.ask(), 0.5)
    again = open_study(opened(), plan, record_of(plan, "data"), False)
    assert [trial.value for trial in again.trials] == [0.5]


def test_a_study_with_other_objectives_is_refused(make_plan: Make, opened: Make, study: Study) -> None:
    plan = make_plan(objective=["joint.macro_f1", "joint.ece"])
    with pytest.raises(UserError, match="changed since the study began"):
        open_study(opened(), plan, record_of(plan, "data"), False)
    # A launch that was killed before it wrote its record down.
    optuna.create_study(storage=opened(), study_name="young", direction="minimize")
    plan = make_plan(name="young")
    with pytest.raises(UserError, match="young: the storage has a study of this name with other objectives"):
        open_study(opened(), plan, record_of(plan, "data"), False)


def test_somebody_elses_study_is_refused(make_plan: Make, opened: Make) -> None:
    plan = make_plan()
    optuna.create_study(storage=opened(), study_name="test", direction="maximize").add_trial(
        optuna.trial.create_trial(value=0.5)
    )
    with pytest.raises(UserError, match="none of ours"):
        open_study(opened(), plan, record_of(plan, "data"), False)


def test_what_is_only_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_study_of(f"sqlite:///{tmp_path}/study.db", "test")
    assert str(error.value) == f"{tmp_path}/study.db: no such file"
    assert not (tmp_path / "study.db").exists()


def test_a_study_that_the_storage_does_not_have_is_named(study: Study, url: str) -> None:
    assert load_study_of(url, "test").study_name == "test"
    with pytest.raises(UserError, match="has no study 'another'"):
        load_study_of(url, "another")


def _of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as line:
        line.execute("CREATE TABLE birds (name TEXT)")
        line.commit()


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b""), "is damaged: it is no study's database"),
        (_of_another_program, "is damaged: it is no study's database"),
        (lambda path: path.write_bytes(b"no database at all" * 99), "is damaged: file is not a database"),
        (lambda path: path.mkdir(), "must be a file, found a folder"),
        (lambda path: os.mkfifo(path), "must be a file, found a pipe (FIFO)"),
    ],
)
def test_a_damaged_database_is_refused_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[Path], Any], line: str
) -> None:
    path = tmp_path / "study.db"
    damage(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(UserError) as caught:
        load_study_of(folder_url(path), "test")
    assert str(caught.value) == f"{path}: {line}"
    assert (path.read_bytes() if path.is_file() else None) == before
