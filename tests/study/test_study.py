"""Whole studies of real runs, from the file to the report."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from multitask.config import load_config
from multitask.errors import UserError
from multitask.progress import StudyProgress
from multitask.reporting.study.report_schema import ConfirmationReport, StudyReport
from multitask.runs.config import load_run_config
from multitask.runs.folder import RunFolder
from multitask.runs.run import run
from multitask.study import study as module
from multitask.study import trial_attrs
from multitask.study.folder import StudyFolder
from multitask.study.messages import Failed, Job, Lost
from multitask.study.settings import Plan
from multitask.study.study import read_study, run_study, write_study_report
from multitask.study.worker import do
from multitask.utils.records import read_record, to_json_data

Make = Callable[..., Any]

TRIALS = 12
TIMES = ("seconds", "images_per_s", "run", "created")
STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned"}


@pytest.fixture(scope="module")
def plan(make_plan: Make) -> Plan:
    pruner = {"name": "median", "startup_trials": 2}
    made: Plan = make_plan(None, {"training.epochs": 3}, budget={"trials": TRIALS}, workers=2, pruner=pruner, seed=1)
    return made


@pytest.fixture(scope="module")
def studied(plan: Plan, forked_workers: None, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study that was run to its end; not to be written to."""
    folder = StudyFolder(tmp_path_factory.mktemp("studies") / "study")
    run_study(plan, folder, StudyProgress())
    return folder


@pytest.fixture
def copied(studied: StudyFolder, tmp_path: Path) -> StudyFolder:
    """The study in another place."""
    return StudyFolder(shutil.copytree(studied.path, tmp_path / "moved" / "study"))


@pytest.fixture
def trials(studied: StudyFolder, read: Make) -> list[FrozenTrial]:
    found: list[FrozenTrial] = read(f"sqlite:///{studied.database}")
    return found


@pytest.fixture
def here(stage: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Job]]:
    """From now on, workers do their jobs in this process: ``here(instead)``, where a part may do some otherwise."""

    def make(instead: Callable[[Job], Any] = lambda job: None) -> list[Job]:
        jobs: list[Job] = []

        def part(job: Job) -> Generator[Any, bool, Any]:
            jobs.append(job)
            yield from ()
            return instead(job) or do(job, lambda record: True)

        monkeypatch.setattr(module, "Pool", lambda num_workers, *more: stage(part, num_workers))
        return jobs

    return make


def without_times(value: Any) -> Any:
    """All that two runs of one config have in common: not when and where they were, nor how fast."""
    if isinstance(value, list):
        return [without_times(item) for item in value]
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    return value


# --- a study that was run to its end -----------------------------------------------------------------------------


def test_every_file_is_there_and_nothing_else(studied: StudyFolder) -> None:
    names = {path.name for path in studied.path.iterdir()}
    assert names == {
        "study.yaml", "study.db", "trials", "report.json", "study.html", "best.yaml", "workers.log", ".lock"
    }  # fmt: skip
    assert sorted(path.name for path in studied.trials.iterdir()) == [f"{number:04d}" for number in range(TRIALS)]
    assert studied.log.read_text() == ""


def test_plain_optuna_reads_it(studied: StudyFolder, plan: Plan) -> None:
    study = optuna.load_study(study_name="test", storage=f"sqlite:///{studied.database}")
    assert [trial.number for trial in study.trials] == list(range(TRIALS))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in study.trials:
        rows = RunFolder(studied.trial(trial.number)).read_history()
        curve = {row.epoch - 1: row.val.joint_macro_f1 for row in rows if row.val is not None}
        assert trial.intermediate_values == curve
        if trial.state == TrialState.COMPLETE:
            assert len(curve) == 3
            report = RunFolder(studied.trial(trial.number)).read_report()
            assert trial.values == [report.joint.macro_f1]
        assert trial.params.keys() == plan.space.distributions().keys()
        assert trial.distributions == plan.space.distributions()
    assert study.best_value == max(trial.value or 0.0 for trial in study.trials if trial.state == TrialState.COMPLETE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        importances = optuna.importance.get_param_importances(study)
    assert importances.keys() == plan.space.distributions().keys()


def test_a_trial_is_the_single_run_to_the_bit(
    studied: StudyFolder, plan: Plan, trials: list[FrozenTrial], tmp_path: Path
) -> None:
    other = next(trial for trial in trials[1:] if trial.state == TrialState.COMPLETE)
    pruned = next(trial for trial in trials if trial.state == TrialState.PRUNED)
    for trial in (trials[0], other, pruned):
        folder = RunFolder(studied.trial(trial.number))
        config = load_run_config(folder)
        assert (config == plan.base) == (trial is trials[0])
        alone = run(config, tmp_path / str(trial.number))
        assert alone.report is not None
        rows = folder.read_history()
        assert without_times(to_json_data(rows)) == without_times(
            to_json_data(alone.folder.read_history()[: len(rows)])
        )
        if trial is not pruned:
            assert trial.values == [alone.report.joint.macro_f1]
            assert len(rows) == 3
            assert without_times(to_json_data(folder.read_report())) == without_times(
                to_json_data(alone.folder.read_report())
            )
            assert folder.predictions().read_bytes() == alone.folder.predictions().read_bytes()


def test_bad_trials_are_pruned_and_the_base_is_not(studied: StudyFolder, trials: list[FrozenTrial]) -> None:
    assert trials[0].state == TrialState.COMPLETE
    assert trials[0].user_attrs[trial_attrs.ORIGIN] == "base"
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert pruned
    for trial in pruned:
        assert not RunFolder(studied.trial(trial.number)).report().exists()
        assert trial.user_attrs[trial_attrs.BEST_SCORE] == max(trial.intermediate_values.values())
        assert [row["joint"] for row in trial.user_attrs[trial_attrs.HISTORY]] == list(
            trial.intermediate_values.values()
        )


def test_the_report_says_what_the_storage_holds(studied: StudyFolder, trials: list[FrozenTrial]) -> None:
    report = read_record(studied.report, StudyReport)
    assert [row.state for row in report.trials] == [STATES[trial.state] for trial in trials]
    assert report.counts.running == report.counts.waiting == report.counts.failed == 0
    assert report.counts.finished + report.counts.pruned == TRIALS
    assert json.loads(studied.report.read_text()) == to_json_data(report)
    assert "<html" in studied.page.read_text()


def test_the_best_config_can_be_run_and_says_where_it_is_from(studied: StudyFolder, trials: list[FrozenTrial]) -> None:
    report = read_record(studied.report, StudyReport)
    text = studied.best.read_text()
    assert text.startswith(f"# Trial {report.best}")
    assert "of the study test, begun 20" in text.splitlines()[0]
    config = load_config(studied.best)
    assert config == load_run_config(RunFolder(studied.trial(report.best or 0)))


# --- again -------------------------------------------------------------------------------------------------------


def test_the_same_line_again_does_nothing_but_report(
    copied: StudyFolder, plan: Plan, here: Make, trials: list[FrozenTrial], read: Make
) -> None:
    jobs = here()
    before = read_record(copied.report, StudyReport)
    copied.report.unlink()
    copied.page.unlink()
    report = run_study(plan, copied, StudyProgress())
    assert jobs == []
    assert read(f"sqlite:///{copied.database}") == trials
    assert report.counts == before.counts
    assert report.sentences == before.sentences
    assert read_record(copied.report, StudyReport).trials == report.trials == before.trials
    assert copied.page.is_file()


def test_a_folder_that_was_moved_can_be_read_and_gone_on_with(
    copied: StudyFolder, studied: StudyFolder, make_plan: Make, plan: Plan, here: Make, trials: list[FrozenTrial]
) -> None:
    found, read_plan, study = read_study(copied.path)
    assert found.path == copied.path
    assert read_plan.settings == plan.settings
    assert read_plan.base == plan.base
    study.set_user_attr("mark", "of the copy")
    assert "mark" not in optuna.load_study(study_name="test", storage=f"sqlite:///{studied.database}").user_attrs
    write_study_report(study, read_plan, found)
    here()
    more = Plan(
        plan.settings.model_copy(update={"budget": plan.settings.budget.model_copy(update={"trials": 14})}), plan.base
    )
    assert len(run_study(more, copied, StudyProgress()).trials) == 14
    assert (copied.trial(13) / "report.json").is_file()
    assert not studied.trial(13).exists()


class TestReading:
    def test_no_study(self, tmp_path: Path) -> None:
        with pytest.raises(UserError) as error:
            read_study(tmp_path)
        assert str(error.value) == f"{tmp_path}: is no study folder: it has no study.yaml"

    def test_no_database(self, copied: StudyFolder) -> None:
        copied.database.unlink()
        with pytest.raises(UserError) as error:
            read_study(copied.path)
        assert str(error.value) == f"{copied.database}: no such file"
        assert not copied.database.exists()

    @pytest.mark.parametrize("text", ["nothing: 1", "study: [", "study: 3\nbase: {}\nstorage: null"])
    def test_a_damaged_file(self, copied: StudyFolder, text: str) -> None:
        copied.settings.write_text(text)
        with pytest.raises(UserError) as error:
            read_study(copied.path)
        assert str(copied.settings) in str(error.value)
        assert "\n" not in str(error.value)


# --- where it is kept --------------------------------------------------------------------------------------------


def test_what_is_in_the_folder_is_not_gone_on_with_elsewhere_and_the_other_way_round(
    copied: StudyFolder, plan: Plan, here: Make, make_plan: Make, tmp_path: Path
) -> None:
    jobs = here()
    url = f"sqlite:///{tmp_path}/shared.db"
    with pytest.raises(UserError, match="its study is kept in the folder itself; launch it as it was begun"):
        run_study(plan, copied, StudyProgress(), storage=url)
    assert not (tmp_path / "shared.db").exists()
    other = StudyFolder(tmp_path / "other")
    one = make_plan(None, {"training.epochs": 1, "training.schedule.warmup_epochs": 0}, budget={"trials": 1})
    run_study(one, other, StudyProgress(), storage=url)
    assert len(jobs) == 1
    assert not other.database.exists()
    with pytest.raises(UserError, match=f"its study is kept at {url}; launch it as it was begun"):
        run_study(one, other, StudyProgress())
    assert not other.database.exists()
    assert len(read_study(other.path)[2].trials) == 1


def test_a_relative_path_of_a_storage_holds_everywhere(
    here: Make, make_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here()
    one = make_plan(None, {"training.epochs": 1, "training.schedule.warmup_epochs": 0}, budget={"trials": 1})
    monkeypatch.chdir(tmp_path)
    run_study(one, StudyFolder(Path("out")), StudyProgress(), storage="sqlite:///shared.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(read_study(tmp_path / "out")[2].trials) == 1
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_cannot_begin_leaves_nothing(here: Make, make_plan: Make, copied: StudyFolder, tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    here()
    out = StudyFolder(tmp_path / "runs" / "out")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://anna@127.0.0.1:{taken.getsockname()[1]}/name"
        with pytest.raises(UserError, match="cannot be reached"):
            run_study(make_plan(), out, StudyProgress(), storage=url)
    with pytest.raises(UserError, match="/nowhere"):
        run_study(make_plan(None, {"data.root": "/nowhere"}), out, StudyProgress())
    with pytest.raises(UserError, match="changed since the study began"):
        run_study(make_plan(seed=7), out, StudyProgress(), storage=f"sqlite:///{copied.database}")
    assert not (tmp_path / "runs" / "out").exists()


def test_a_launch_that_is_killed_before_the_study_is_written_down_hinders_no_other(
    here: Make, make_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here()
    out = StudyFolder(tmp_path / "out")
    one = make_plan(None, {"training.epochs": 1, "training.schedule.warmup_epochs": 0}, budget={"trials": 1})
    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr(module, "write_atomically", lambda *more: os.kill(os.getpid(), signal.SIGKILL))
            run_study(one, out, StudyProgress())
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert out.database.exists()
    assert run_study(one, out, StudyProgress()).counts.finished == 1


def test_a_study_that_stops_can_be_gone_on_with(here: Make, make_plan: Make, tmp_path: Path, watcher: Any) -> None:
    one = make_plan(
        None,
        {"training.epochs": 1, "training.schedule.warmup_epochs": 0},
        budget={"trials": 5},
        stop_after_failures=2,
    )
    out = StudyFolder(tmp_path / "out")
    jobs = here(lambda job: Failed("the disk is full") if job.out.name > "0001" else None)
    with pytest.raises(UserError, match="stopped, since the last 2 trials failed; the latest: the disk is full"):
        run_study(one, out, watcher)
    assert len(jobs) == 4
    here()
    report = run_study(one, out, watcher)
    assert report.counts.failed == 2
    assert report.counts.finished == 3


# --- the honest end ----------------------------------------------------------------------------------------------


def confirming(folder: StudyFolder) -> dict[str, float]:
    """The confirming runs that are done, and when."""
    return {path.parent.name: path.stat().st_mtime for path in folder.confirming.glob("*/report.json")}


def test_an_interrupted_confirmation_goes_on_where_it_was(
    copied: StudyFolder, plan: Plan, here: Make, watcher: Any
) -> None:
    jobs = here()

    def on_tick() -> None:
        if len(watcher.told("finished")) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    watcher.on_tick = on_tick
    with pytest.raises(KeyboardInterrupt):
        run_study(plan, copied, watcher, confirm=2, seeds=2)
    assert not copied.confirmation.exists()
    done = confirming(copied)
    assert len(done) >= 2
    jobs.clear()
    watcher.on_tick = lambda: None
    report = run_study(plan, copied, watcher, confirm=2, seeds=2)
    assert len(jobs) == 6 - len(done)
    assert done.items() <= confirming(copied).items()
    assert len(confirming(copied)) == 6
    confirmation = read_record(copied.confirmation, ConfirmationReport)
    assert report.confirmation == confirmation
    assert [row.base for row in confirmation.rows] == [True, False, False]
    assert all(len(row.runs) == 2 for row in confirmation.rows)
    assert copied.best.read_text().startswith(f"# Trial {confirmation.chosen}")
    assert f"# {confirmation.sentence}\n# {confirmation.luck_sentence}\n" in copied.best.read_text()
    # What is done is not done again, and a third seed adds runs to the others.
    jobs.clear()
    run_study(plan, copied, watcher, confirm=2, seeds=2)
    assert jobs == []
    assert run_study(plan, copied, watcher).confirmation == confirmation


def test_a_confirming_run_that_fails_ends_in_a_line_after_the_study_is_reported(
    copied: StudyFolder, plan: Plan, here: Make, watcher: Any
) -> None:
    copied.report.unlink()
    here(lambda job: Failed("out of luck") if job.out.name == "0000-1" else None)
    with pytest.raises(UserError) as error:
        run_study(plan, copied, watcher, confirm=1, seeds=2)
    assert str(error.value) == "--confirm: base, seed 2 failed: out of luck"
    assert copied.report.is_file()
    assert len(confirming(copied)) == 2


def test_a_confirming_run_whose_worker_is_lost_is_done_again_but_not_for_ever(
    copied: StudyFolder, plan: Plan, here: Make, watcher: Any
) -> None:
    losses = 2
    lost: list[str] = []

    def loses(job: Job) -> Lost | None:
        if job.out.name != "0000-0" or len(lost) == losses:
            return None
        lost.append(job.out.name)
        return Lost("the worker was killed by SIGKILL")

    here(loses)
    run_study(plan, copied, watcher, confirm=1, seeds=1)
    assert watcher.told("retried") == ["base, seed 1: lost, the worker was killed by SIGKILL; queued again"] * 2
    shutil.rmtree(copied.confirming)
    losses = 99
    with pytest.raises(UserError, match="--confirm: base, seed 1 was lost 3 times; the worker was killed by SIGKILL"):
        run_study(plan, copied, watcher, confirm=1, seeds=1)
