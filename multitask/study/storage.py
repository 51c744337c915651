"""Storage of a study's trials: SQLite in its folder, or any database that Optuna supports."""

from __future__ import annotations

import os
import random
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import sqlalchemy
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.study import Study
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection

from multitask.errors import UserError, first_line
from multitask.reporting.stored_report import reading
from multitask.study import trial_attrs
from multitask.study.per_trial import PerTrial
from multitask.study.provenance import RECORD, check_record
from multitask.study.settings import HeartbeatSettings, Plan
from multitask.study.trial_queue import queue
from multitask.utils.files import check_regular

STORAGE_ERRORS = (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)
"""Exceptions of a storage that cannot be reached any more."""
_LIKE = "like postgresql://user@host/name"
_PORTS = {"postgresql": 5432, "mysql": 3306}
_CONNECT_S = 10
_BUSY_S = 60
_ATTEMPTS = 10
"""To make the tables, while other launches make them at the same moment."""


def folder_url(database: Path) -> str:
    """The storage of a study that is kept in its folder."""
    return f"sqlite:///{os.path.abspath(database)}"  # a link that leads nowhere is for SQLite to refuse


def shown(url: str) -> str:
    """A storage's address without its password, which belongs in no file and on no screen."""
    address = make_url(url).difference_update_query(["password"])
    return address.render_as_string(hide_password=True).replace(":***@", "@")


def for_others(url: str) -> str:
    """``shown``, as other tools that take Optuna's storages are to be given it: with the driver that is installed.

    Before SQLAlchemy 2.1 an address that names none has psycopg2 for PostgreSQL.
    """
    return shown(_with_driver(make_url(url)).render_as_string(hide_password=False))


def _with_driver(address: URL) -> URL:
    return address.set(drivername="postgresql+psycopg") if address.drivername == "postgresql" else address


def resolved(url: str) -> str:
    """A storage's address from any working directory: SQLite's path made absolute.

    Raises:
        UserError: the address is no address, or SQLite's has no file.
    """
    address = _address(url)
    if address.get_backend_name() != "sqlite":
        return url
    if address.database in (None, "", ":memory:"):
        raise UserError(f"--storage: {url} names no file, so that the study would be kept nowhere")
    return address.set(database=os.path.abspath(address.database)).render_as_string(hide_password=False)


def _address(url: str) -> URL:
    try:
        return make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # the latter of a port that is no number
        raise UserError(f"--storage: must be an address {_LIKE}, found {url!r}") from None


def open_storage(url: str, heartbeat: HeartbeatSettings | None = None) -> RDBStorage:
    """Connects to a storage.

    Args:
        url: SQLAlchemy's, as ``postgresql://user@host/database``.
        heartbeat: how often a trial shows signs of life, and after how long without one it, a PostgreSQL server, or
            there a client within a transaction, is gone; None to read only.

    Raises:
        UserError: the address is no address, its driver is not installed, or nobody answers there; it names the host.
    """
    address = _address(url)
    backend = address.get_backend_name()
    options: dict[str, object] = {}
    if backend == "postgresql":
        address = _with_driver(address)
        grace_s = (heartbeat or HeartbeatSettings()).grace_s
        options = {
            "connect_args": {"connect_timeout": _CONNECT_S, **_silence(grace_s)},
            "pool_events": [(partial(_release_locks, grace_s), "connect")],
            "pool_pre_ping": True,
        }
    elif backend == "sqlite":
        options = {"connect_args": {"timeout": _BUSY_S}}
    try:
        storage = _connect(address.render_as_string(hide_password=False), options, heartbeat)
    except ImportError as error:
        need = 'pip install "multitask[postgres]"' if backend == "postgresql" else "its driver"
        raise UserError(f"--storage: {backend} needs {need} ({first_line(error)})") from None
    except sqlalchemy.exc.NoSuchModuleError:
        raise UserError(f"--storage: there is no database {address.drivername!r}; an address is {_LIKE}") from None
    except STORAGE_ERRORS as error:
        raise _unreachable(url, error) from None
    except ValueError as error:  # SQLite's own words hold what is damaged, and need not be text
        raise UserError(f"{shown(url)}: is damaged: {error}") from None
    except RuntimeError as error:  # tables of another version of Optuna
        raise UserError(f"{shown(url)}: belongs to another version of Optuna: {first_line(error)}") from None
    if backend == "sqlite" and heartbeat:
        # Else two launches could both read that a trial waits, and both take it: SQLite has no locks on rows.
        sqlalchemy.event.listen(storage.engine, "begin", lambda line: line.exec_driver_sql("BEGIN IMMEDIATE"))
    return storage


def _silence(seconds: int) -> dict[str, int]:
    """libpq's settings by which a server that is silent for so long is gone: one that loses its power says nothing."""
    # The first three where an answer is awaited, the last where what was sent is not acknowledged.
    probes = {"keepalives_idle": seconds // 2, "keepalives_interval": max(1, seconds // 6), "keepalives_count": 3}
    return {**probes, "tcp_user_timeout": 1000 * seconds}


def _release_locks(seconds: int, connection: DBAPIConnection, _: object) -> None:
    """Has the server end this connection where it is silent for so long within a transaction, whose locks others await.

    A machine that loses its power then says nothing, and a server left to itself waits two hours for it.
    """
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{seconds}s'")
    connection.commit()


def _connect(url: str, options: dict[str, object], heartbeat: HeartbeatSettings | None) -> RDBStorage:
    """Optuna's storage, its tables made where there are none, which several launches may do at the same moment."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                return RDBStorage(
                    url,
                    # A copy, since Optuna keeps it.
                    engine_kwargs=dict(options),
                    heartbeat_interval=heartbeat.interval_s if heartbeat else None,
                    grace_period=heartbeat.grace_s if heartbeat else None,
                )
        except sqlalchemy.exc.DBAPIError as error:
            # What SQLite says in words, and PostgreSQL in whatever language its server speaks.
            known = (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError)
            made_meanwhile = isinstance(error, known) or "already exists" in str(error)
            if not made_meanwhile or attempt == _ATTEMPTS:
                raise
            time.sleep(random.uniform(0.05, 0.2))
    raise AssertionError("the last attempt returned or raised")


@contextmanager
def reachable(url: str) -> Iterator[None]:
    """A storage that goes away while it is used is one line.

    Raises:
        UserError: it went away; it names the host.
    """
    try:
        yield
    except STORAGE_ERRORS as error:
        raise _unreachable(url, error) from None


def _unreachable(url: str, error: BaseException) -> UserError:
    address = make_url(url)
    port = address.port or _PORTS.get(address.get_backend_name())
    place = (f"{address.host}:{port}" if port else address.host) if address.host else shown(url)
    cause = getattr(error, "orig", None) or error.__cause__ or error
    return UserError(f"--storage: {place} cannot be reached: {first_line(cause)}")


def open_study(storage: RDBStorage, plan: Plan, record: Mapping[str, Any], extend: bool) -> Study:
    """The study of a plan: a new one with the base as its first trial, or the one that was begun before.

    Raises:
        UserError: as ``check_record``.
    """
    settings = plan.settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study = optuna.create_study(
            storage=storage,
            study_name=settings.name,
            directions=list(settings.directions),
            sampler=PerTrial(settings.sampler, settings.seed),
            pruner=settings.chosen_pruner.build(plan.space.most_epochs),
            load_if_exists=True,
        )
    # A launch that was killed within these lines leaves a study without a record or without trials.
    if RECORD in study.user_attrs or study.get_trials(deepcopy=False):
        check_record(study, record, plan, extend)
    elif [direction.name.lower() for direction in study.directions] != list(settings.directions):
        raise UserError(f"{settings.name}: the storage has a study of this name with other objectives; rename this one")
    else:
        study.set_user_attr(RECORD, dict(record))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(settings.objective))  # which a live page calls the objectives by
    if not study.get_trials(deepcopy=False):
        params, _ = plan.space.base_params()
        drawn = plan.space.distributions()
        queue(study, params, {name: drawn[name] for name in params}, {trial_attrs.ORIGIN: "base"})
    return study


def check_begun(database: Path) -> None:
    """Checks that a study's own file is there and has a study's tables: SQLite and Optuna would make both anew.

    Raises:
        UserError: it is gone, or is no database, or another one.
    """
    check_regular(database)
    if not database.is_file():
        raise UserError(f"{database}: no such file")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database.resolve()))}?mode=ro", uri=True)) as line:
            tables = {name for (name,) in line.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except (sqlite3.Error, ValueError) as error:
        raise UserError(f"{database}: is damaged: {error}") from None
    if not {"studies", "trials"} <= tables:
        raise UserError(f"{database}: is damaged: it is no study's database")


def load_study_of(url: str, name: str) -> Study:
    """A study as it is kept, to be read.

    Raises:
        UserError: the storage cannot be reached, or has no such study.
    """
    address = _address(url)
    if address.get_backend_name() == "sqlite":
        check_begun(Path(address.database or ""))
    storage = open_storage(url)
    with reading(shown(url)):
        try:
            study = optuna.load_study(study_name=name, storage=storage)
        except KeyError:
            raise UserError(f"{shown(url)}: has no study {name!r}") from None
        study.get_trials(deepcopy=False)  # whatever is damaged in them is said now
    return study
