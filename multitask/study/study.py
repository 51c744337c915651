"""A study from its file to its report: the only place where the parts of a study meet."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from optuna.study import Study

from multitask.config import stored_config
from multitask.errors import UserError
from multitask.executors import ProcessesSettings
from multitask.executors.pool import RemotePool
from multitask.progress import Progress, StudyProgress
from multitask.reporting.stored_report import reading
from multitask.reporting.study.page import render_study
from multitask.reporting.study.report_schema import ConfirmationReport, StudyReport
from multitask.runs.data_module import DataModule
from multitask.settings import validate
from multitask.settings.yaml_text import dump_yaml, read_yaml
from multitask.study.confirmation import Confirmation, candidates
from multitask.study.confirmation_report import verdict
from multitask.study.folder import StudyFolder
from multitask.study.interrupt import Interrupt
from multitask.study.per_trial import quieten
from multitask.study.pool import Pool
from multitask.study.provenance import record_of
from multitask.study.report import summarise_study
from multitask.study.search import Search
from multitask.study.settings import Plan, StudySettings
from multitask.study.storage import (
    check_begun,
    folder_url,
    load_study_of,
    open_storage,
    open_study,
    reachable,
    resolved,
    shown,
)
from multitask.utils.files import write_atomically
from multitask.utils.records import read_record, record_to_json


def run_study(
    plan: Plan,
    folder: StudyFolder,
    progress: StudyProgress,
    *,
    storage: str | None = None,
    extend: bool = False,
    confirm: int = 0,
    seeds: int = 0,
    on_begin: Callable[[], None] = lambda: None,
) -> StudyReport:
    """Performs a study, or resumes it, and writes its report.

    Args:
        plan: the study file, made out.
        folder: the study's.
        progress: notified of everything.
        storage: the address of a database; None: SQLite in the folder.
        extend: whether space, sampler, pruner and seed may have changed since the study began.
        confirm: how many of the best trials are run again; 0: none.
        seeds: how often each.
        on_begin: called once nothing can be refused any more, before the first trial.

    Returns:
        What ``report.json`` holds.

    Raises:
        UserError: the data, the storage or the folder are not as they must be; the study file changed; too many
            trials failed.
        KeyboardInterrupt: it was interrupted; everything is saved.
    """
    quieten()
    folder.claim()
    settings = plan.settings
    url = resolved(storage) if storage else folder_url(folder.database)
    _check_executor(settings, url)
    if folder.exists():
        _check_same(_read_settings(folder), folder, settings.name, storage)
        if not storage:
            check_begun(folder.database)
    # Before the folder is made, so that a storage that nobody answers for leaves nothing behind.
    remote = open_storage(url, settings.heartbeat) if storage else None
    data = DataModule(plan.base, folder.reuse)
    for metric in settings.objective:
        data.dataset.check_scored(metric, "objective")
    record = record_of(plan, data.facts().fingerprint or "")
    with folder.locked(), reachable(url), ExitStack() as stack:
        kept = remote or open_storage(url, settings.heartbeat)
        stack.callback(kept.engine.dispose)
        study = open_study(kept, plan, record, extend)
        _write_settings(folder, plan, url)
        data.store.images(_Stages(progress))  # decoded once, before workers would wait for each other
        with Interrupt() as interrupt:  # before there are workers, so that none is left alone
            pool = _pool(plan, folder, interrupt, progress.say)
            try:
                on_begin()
                Search(study, plan, folder, pool, progress, alone=storage is None).run(interrupt)
                if confirm:
                    write_study_report(study, plan, folder)  # should confirming fail
                    _confirm(study, plan, folder, pool, progress, interrupt, confirm, seeds)
            finally:
                pool.close()
                progress.close()
        if not folder.shares_reuse:
            shutil.rmtree(folder.reuse, ignore_errors=True)
        return write_study_report(study, plan, folder)


def _check_executor(settings: StudySettings, url: str) -> None:
    """Checks that the executor is there, and that its workers' study is kept where several machines may share it.

    Raises:
        UserError: it is not.
    """
    settings.executor.check()
    if settings.executor.several_machines and url.startswith("sqlite"):
        raise UserError(
            f"executor: {settings.executor.name} works on several machines, which share --out, where SQLite's locks do "
            "not hold; name a --storage as postgresql://user@host/name"
        )


def _pool(plan: Plan, folder: StudyFolder, interrupt: Interrupt, say: Callable[[str], None]) -> Pool | RemotePool:
    """The workers of a launch; an interrupt ends the wait for the executor."""
    settings = plan.settings
    if isinstance(settings.executor, ProcessesSettings):
        return Pool(settings.workers, folder.log, settings.heartbeat.grace_s, plan.base.device in ("auto", "cuda"))
    module, grace_s = "multitask.study.worker", settings.heartbeat.grace_s
    pool = RemotePool(settings.executor, module, settings.workers, folder.workers, grace_s, say)
    try:
        with interrupt.at_once():
            pool.open()
    except BaseException:
        pool.close()
        raise
    return pool


class _Stages(Progress):
    """A run's progress as a study shows it: pieces of work alone."""

    def __init__(self, progress: StudyProgress) -> None:
        self._progress = progress

    def stage(self, name: str, total: int, unit: str) -> Callable[[int], None]:
        """Passed on to the study's progress; all else of a run is left out."""
        return self._progress.stage(name, total, unit)


def _write_settings(folder: StudyFolder, plan: Plan, url: str) -> None:
    """The study file as it was made out; before anything else but the storage, so that what has one is a study."""
    content = {
        "storage": shown(url) if url != folder_url(folder.database) else None,
        "study": plan.settings.model_dump(mode="json"),
        "base": plan.base.model_dump(mode="json"),
    }
    write_atomically(folder.settings, dump_yaml(content))
    folder.trials.mkdir(exist_ok=True)
    folder.reuse.mkdir(exist_ok=True)


def _read_settings(folder: StudyFolder) -> dict[str, Any]:
    content = read_yaml(folder.settings)
    if not {"study", "base", "storage"} <= content.keys() or not isinstance(content["study"], dict):
        raise UserError(f"{folder.settings}: is damaged, or of another version")
    return content


def _check_same(content: Mapping[str, Any], folder: StudyFolder, name: str, storage: str | None) -> None:
    """Checks that the folder's study is the one that is launched, and is kept where it was."""
    if (there := content["study"].get("name")) != name:
        raise UserError(f"{folder.path}: holds the study {there!r}, not {name!r}; name another --out")
    if bool(content["storage"]) != bool(storage):
        place = f"at {content['storage']}" if content["storage"] else "in the folder itself"
        raise UserError(f"{folder.path}: its study is kept {place}; launch it as it was begun, or name another --out")


def _confirm(
    study: Study,
    plan: Plan,
    folder: StudyFolder,
    pool: Pool | RemotePool,
    progress: StudyProgress,
    interrupt: Interrupt,
    best: int,
    seeds: int,
) -> None:
    """Runs the best trials again and writes down what they say."""
    confirmation = Confirmation(plan, folder, candidates(study, best), seeds)
    folder.confirming.mkdir(exist_ok=True)
    confirmation.run(pool, progress, interrupt)
    write_atomically(folder.confirmation, record_to_json(verdict(confirmation)))


def write_study_report(
    study: Study, plan: Plan, folder: StudyFolder, show: Callable[[StudyReport], None] = lambda report: None
) -> StudyReport:
    """Writes ``report.json``, ``study.html`` and ``best.yaml``; returns the report.

    Args:
        study: that is reported on.
        plan: its own.
        folder: its own, where the files are written.
        show: told the report before anything is written, which a full disk or another's folder may refuse.
    """
    confirmation = read_record(folder.confirmation, ConfirmationReport) if folder.confirmation.is_file() else None
    with reading(folder.database if confirmation is None else folder.confirmation):
        report = summarise_study(study, plan, confirmation, str(folder.database))
        page = render_study(report)
        chosen = confirmation.chosen if confirmation else report.front[0] if report.front else report.best
        best = None if chosen is None else best_yaml(study, plan, report, chosen)
    show(report)
    write_atomically(folder.report, record_to_json(report))
    write_atomically(folder.page, page)
    if best is not None:
        write_atomically(folder.best, best)
    return report


def best_yaml(study: Study, plan: Plan, report: StudyReport, number: int) -> str:
    """A trial as a config that can be run, its origin in comments above it."""
    row = next(row for row in report.trials if row.number == number)
    config = plan.space.config(row.changes)
    scores = ", ".join(
        f"{objective.metric} {'unknown' if value is None else f'{value:.4f}'}"
        for objective, value in zip(report.objectives, row.values or (), strict=False)
    )
    base = " (the base, as it stood)" if row.origin == "base" else ""
    lines = [f"Trial {number}{base} of the study {report.study}, begun {report.created}: {scores}."]
    lines += report.sentences
    changed = [f"  {key}: {value}" for key, value in row.changes.items()]
    if changed:
        lines += [f"What it changes of {Path(plan.settings.base).name}:", *changed]
    lines += ["", "  command:   multitask train best.yaml --out RUN"]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n" + config.to_yaml()


def read_study(
    path: Path, storage: str | None = None, *, allow_extensions: bool = False
) -> tuple[StudyFolder, Plan, Study]:
    """A study that was launched before.

    Args:
        path: its folder.
        storage: where its trials are, if the folder does not say it whole (a password is never written down).
        allow_extensions: whether the code that its base config names may run.

    Raises:
        UserError: there is no study, or its storage cannot be reached.
    """
    quieten()
    folder = StudyFolder(path)
    if not folder.exists():
        raise UserError(f"{path}: is no study folder: it has no {folder.settings.name}")
    content = _read_settings(folder)
    base = stored_config(content["base"], folder.settings, allow_extensions=allow_extensions)
    plan = Plan(validate(StudySettings, content["study"]), base)
    url = storage or content["storage"] or folder_url(folder.database)
    with reachable(url):
        return folder, plan, load_study_of(url, plan.settings.name)
