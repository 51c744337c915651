"""The stages of a recipe at work, one after the other, on networks that learn nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from multitask.config import Config, load_config
from multitask.data.sources import SeveralSettings
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.repeated_runs import Gap
from multitask.evaluation.views import Views
from multitask.inference.run_spec import run_spec
from multitask.progress import EpochRecord, Progress, RunningTrial, StudyProgress, SweepStatus
from multitask.pseudo.report_schema import read_report
from multitask.recipe import for_use, verdicts
from multitask.recipe import recipe as recipe_module
from multitask.recipe.folder import RecipeFolder
from multitask.recipe.lab import of_target
from multitask.recipe.pooling import pooled_answers
from multitask.recipe.recipe import run_recipe
from multitask.recipe.settings import load_recipe
from multitask.recipe.stages import views
from multitask.recipe.stages.folds import picked_by_the_scored
from multitask.reporting.recipe.report_schema import RecipeReport
from multitask.runs import page as page_module
from multitask.runs.config import read_run
from multitask.runs.ensemble import make_ensemble
from multitask.runs.evaluate import evaluate
from multitask.runs.folder import RunFolder
from multitask.runs.page import write_page
from multitask.settings.yaml_text import read_yaml
from multitask.study import study as study_module
from multitask.study.messages import Done, Epoch, Job
from multitask.study.worker import do

Make = Callable[..., Path]


class Worker:
    """A worker of a study in this process. What comes after the first trial is not trained, and a little worse."""

    number = 0

    def __init__(self) -> None:
        self.idle, self.process = True, SimpleNamespace(pid=1)
        self._records: list[EpochRecord] = []
        self._done: Done | None = None
        self._said: list[Any] = []

    def send(self, message: Any) -> None:
        if not isinstance(message, Job):
            return
        if self._done is None:
            done = do(message, lambda record: not self._records.append(record))  # type: ignore[func-returns-value]
            assert isinstance(done, Done)
            self._done = done
        else:
            figures = {name: (value or 0.0) / 2 for name, value in self._done.figures.items()}
            self._done = replace(self._done, figures=figures)
        self._said = [*map(Epoch, self._records), self._done]
        self.idle = False

    def says(self) -> Any:
        return self._said.pop(0)


class Pool:
    """In the place of a study's processes."""

    def __init__(self, *args: Any) -> None:
        self.workers = [Worker()]

    def idle(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.idle]

    def listen(self, timeout_s: float) -> Iterator[tuple[Worker, Any]]:
        for worker in self.workers:
            if not worker.idle:
                yield worker, worker.says()

    def close(self) -> None:
        pass


class Watcher(StudyProgress):
    """Keeps what it was shown."""

    def __init__(self, clock: Path) -> None:
        self.clock = clock
        self.closed = False
        self.views: list[SweepStatus] = []
        self.running: dict[str, set[str]] = {}
        self.saved: dict[str, list[float]] = {}

    def begin(self, view: SweepStatus) -> None:
        self.views.append(view)

    def epoch(self, trial: RunningTrial) -> None:
        view = self.views[-1]
        self.running.setdefault(view.name, set()).add(trial.name)
        self.saved.setdefault(view.phase, []).append(self.clock.stat().st_mtime_ns)
        time.sleep(0.002)  # so that times differ

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def cooked(
    write_recipe: Make, drawn: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Callable[[], RecipeReport], RecipeReport, Path, Watcher]:
    """A recipe of all stages, each of which the judges are made to like: how to go on with it, its report, its folder.

    Two people more are unlabelled.
    """
    folder = tmp_path_factory.mktemp("cooked")
    ages = {"root": str(drawn), "source": "synthetic", "tasks": ["age"]}
    stages = [
        {"name": "baseline", "epochs": 1},
        {"name": "partial", "sources": {"ages": ages}, "weights": {"target": 1, "ages": 1}},
        {"name": "study", "trials": 2, "epochs": 1, "space": {"training.lr": {"low": 0.01, "high": 0.02}}},
        {"name": "folds", "num": 2},
        {"name": "pseudo", "images": str(drawn / "eval" / "images"), "labels": {"precision": 0.05, "certainty": 0.5}},
        {"name": "views", "sets": [["flip"], ["flip", "scale"]]},
        "ensemble",
        "final",
    ]
    changes = {"training.epochs": 2, "training.schedule.warmup_epochs": 1}
    file = write_recipe(
        folder, changes, stages=stages, judges={"folds": 2, "seeds": 2}, metric="tasks.mask.accuracy", budget="9h"
    )
    out = folder / "out"
    watcher = Watcher(out / "clock.json")

    def cook() -> RecipeReport:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recipe_module, "seconds_per_image", lambda *_: 1e-3)
            patch.setattr(verdicts, "gap", lambda *_: Gap(0.1, 0.05, 0.15))
            patch.setattr(study_module, "Pool", Pool)
            patch.setattr(views, "mean_score", lambda _, reports: len(reports[0].split) / 100)  # the more views
            patch.setattr(for_use, "write_page", lambda run, name: run.folder.name == "final" and write_page(run, name))
            patch.setattr(page_module, "write_page", lambda *_: None)
            return run_recipe(load_recipe(file), RecipeFolder(out), watcher)

    return cook, cook(), out, watcher


Cooked = tuple[Callable[[], RecipeReport], RecipeReport, Path, Watcher]


def test_all_came_to_their_end(cooked: Cooked) -> None:
    _, report, _, watcher = cooked
    assert {stage.name: stage.state for stage in report.stages} == {
        "baseline": "done", "partial": "kept", "study": "not kept", "folds": "done", "pseudo": "kept",
        "views": "kept", "ensemble": "kept", "final": "done",
    }  # fmt: skip
    assert not watcher.closed
    (folds,) = (stage for stage in report.stages if stage.name == "folds")
    assert re.match(r"All \d+ groups: mask accuracy \d?\.\d{3}", folds.note)
    names = [(view.name, view.phase, view.finished, view.total) for view in watcher.views]
    assert ("tiny, final", "training", 1, 1) in names
    assert ("tiny, folds", "training", 2, 2) in names
    assert ("tiny, ensemble", "training", 2, 2) in names
    assert watcher.running["tiny, final"] == {"final"}
    assert watcher.running["tiny, folds"] == {"fold 1", "fold 2"}
    assert not any(view.running for view in watcher.views)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, False),
        ({"training.keep.name": "best"}, True),
        ({"training.keep.name": "best", "data.pick_fraction": 0.2}, False),
    ],
)
def test_a_score_is_said_to_flatter_where_those_who_are_scored_picked(
    tiny: Callable[..., Config], changes: dict[str, Any], said: bool
) -> None:
    assert ("honest" in picked_by_the_scored(tiny(changes))) is said


def test_what_was_kept_is_what_runs(cooked: Cooked) -> None:
    _, report, out, _ = cooked
    best = load_config(out / "best.yaml")
    assert "#   pseudo: not in this config; it left pseudo/run, pseudo/labels.csv\n" in (out / "best.yaml").read_text()
    assert isinstance(best.data.source, SeveralSettings)
    assert set(best.data.source.sources) == {"target", "ages"}
    assert best.data.sampler.name == "per_source"
    folds, pseudo, final = (load_config(out / name / "config.yaml") for name in ("folds", "pseudo/run", "final"))
    for config, wanted in ((folds, set()), (pseudo, {"pseudo"}), (final, {"pseudo"})):
        assert isinstance(config.data.source, SeveralSettings)
        assert set(config.data.source.sources) - {"target", "ages"} == wanted
    viewed = "report-val-flip+scale.html"
    assert [stage.files for stage in report.stages[3:]] == [
        {"run": "folds"}, {"run": "pseudo/run", "labels": "pseudo/labels.csv"}, {"report": f"pseudo/run/{viewed}"},
        {"run": "ensemble", "report": f"ensemble/{viewed}"}, {"run": "final"}
    ]  # fmt: skip


def test_the_winner_is_trained_on_all_groups(cooked: Cooked) -> None:
    _, _, out, _ = cooked
    split = pd.read_csv(out / "final" / "split.csv", dtype=str)
    assert set(split["split"]) == {"train"}
    assert split.loc[split["image"].str.startswith("target/"), "group"].nunique() == 12
    assert (out / "final" / "report.html").is_file()


def test_the_study_searches_by_the_metric_of_the_recipe(cooked: Cooked) -> None:
    _, report, out, watcher = cooked
    search = out / "stages" / "study" / "search"
    study = read_yaml(search / "study.yaml")["study"]
    assert study["objective"] == ["tasks.mask.accuracy"]
    assert not (search / "reuse").exists(), "images are decoded for all stages together"
    # While it searches, what is spent is kept on disk.
    assert len(set(watcher.saved["searching"])) == 2
    tried = next(stage for stage in report.stages if stage.name == "study").tried
    assert [(one.name, one.picked) for one in tried] == [("as it stands", True), ("trial 1", False)]


def test_pseudo_labels_of_a_judge_are_of_one_that_never_saw_its_groups(cooked: Cooked) -> None:
    _, report, out, _ = cooked
    pseudo = next(stage for stage in report.stages if stage.name == "pseudo")
    assert len(pseudo.runs) == len(set(pseudo.runs)) == 4
    for index, place in enumerate(pseudo.runs):
        config = load_config(out / place / "config.yaml")
        assert isinstance(config.data.source, SeveralSettings)
        part = config.data.source.sources["pseudo"]
        table = out / "stages" / "pseudo" / f"labels-{index + 1}.csv"
        assert (Path(part.root) / part.source.file).resolve() == table.resolve()  # type: ignore[attr-defined]
        assert (config.data.test_fold, config.data.test_folds) == (index % 2, 2)
        images = pd.read_csv(table)["path"]
        split = pd.read_csv(out / place / "split.csv", dtype=str)
        trained = split[split["image"].str.startswith("pseudo/")]
        assert len(trained) == len(images) > 0
        assert set(trained["split"]) == {"train"}
    by_run = {pd.read_csv(out / "stages" / "pseudo" / f"labels-{n}.csv")["run of labels"][0] for n in (1, 2, 3, 4)}
    assert len(by_run) == 4


def test_each_fold_for_use_learns_from_labels_of_the_network_that_never_saw_its_groups(cooked: Cooked) -> None:
    _, report, out, _ = cooked
    for fold in (0, 1):
        student, teacher = out / "pseudo" / "run" / "folds" / str(fold), out / "folds" / "folds" / str(fold)
        source = load_config(student / "config.yaml").data.source
        assert isinstance(source, SeveralSettings)
        part, table = source.sources["pseudo"], out / "pseudo" / f"labels-fold-{fold}.csv"
        assert (Path(part.root) / part.source.file).resolve() == table.resolve()  # type: ignore[attr-defined]
        assert read_report(table).fingerprint == run_spec(read_run(teacher)).fingerprint
        after, before = (pd.read_csv(run / "split.csv") for run in (student, teacher))
        validate = set(after.loc[after["split"] == "val", "group"])
        trained = set(before.loc[before["split"] == "train", "group"])
        assert validate
        assert not validate & trained
    pseudo = next(stage for stage in report.stages if stage.name == "pseudo")
    assert "learned from labels of all networks" not in pseudo.note


def test_the_ensemble_answers_as_one_of_the_networks_would(cooked: Cooked, tmp_path: Path) -> None:
    _, report, out, _ = cooked
    pseudo = next(stage for stage in report.stages if stage.name == "pseudo")
    runs = [read_run(out / pseudo.runs[index], allow_extensions=True) for index in (1, 3)]  # fold 2 of either seed
    assert [run.config.data.test_fold for run in runs] == [1, 1]
    both_views = Views(("flip", "scale"))
    found = pooled_answers(runs, "fitted", both_views)
    make_ensemble([run.folder.path for run in runs], tmp_path / "both")
    both = read_run(tmp_path / "both")
    evaluate(both, "test", Progress(), both_views)
    path = both.folder.predictions("test-flip+scale")
    wanted = Predictions.from_csv(path, both.config.space(), both.config.learned_space())
    order = np.argsort(wanted.images.astype(str))[np.argsort(np.argsort(found.images.astype(str)))]
    wanted = wanted.take(order)
    assert found.images.tolist() == wanted.images.tolist()
    assert found.predicted.tolist() == wanted.predicted.tolist()
    for task, values in found.log_probs.items():
        np.testing.assert_allclose(values.exp().numpy(), wanted.log_probs[task].exp().numpy(), atol=1e-4)
    # And it is a part of the one pass in the recipe's answers.
    (path,) = (out / "stages" / "ensemble").glob("answers-*.csv")
    kept = Predictions.from_csv(path, found.space, found.learned)
    assert len(kept) == report.baseline.num_images
    own = of_target(runs[0].config, found)
    rows = [kept.images.tolist().index(image) for image in own.images]
    assert kept.predicted[rows].tolist() == own.predicted.tolist()
    np.testing.assert_allclose(kept.log_probs["mask"][rows].numpy(), own.log_probs["mask"].numpy(), atol=1e-3)


def test_views_are_answered_by_the_networks_that_were_judged(cooked: Cooked) -> None:
    _, report, out, _ = cooked
    stages = {stage.name: stage for stage in report.stages}
    found = stages["views"]
    assert found.views == ("flip", "scale")
    assert [(one.name, one.changes, one.picked) for one in found.tried] == [
        ("as it stands", {}, False), ("flip", {"--views": "flip"}, False),
        ("flip, scale", {"--views": "flip,scale"}, True)
    ]  # fmt: skip
    assert f"`multitask predict {out / 'pseudo' / 'run'} PATH --views flip,scale`" in found.note
    # What was judged are the answers of either seed's networks, of which the first two are.
    kept = sorted((out / "stages" / "views").glob("answers-*.csv"))
    assert len(kept) == 2
    for place, first in ((0, 0), (1, 2)):
        one, config = read_run(out / stages["pseudo"].runs[first], allow_extensions=True)
        spaces = config.space(), config.learned_space()
        own = of_target(config, Predictions.from_csv(one.predictions("test-flip+scale"), *spaces))
        judged = Predictions.from_csv(kept[place], *spaces)
        rows = [judged.images.tolist().index(image) for image in own.images]
        np.testing.assert_allclose(judged.log_probs["mask"][rows].numpy(), own.log_probs["mask"].numpy(), atol=1e-3)


def test_views_are_picked_by_the_mean_of_the_judged_runs(cooked: Cooked) -> None:
    _, report, out, _ = cooked
    pseudo = next(stage for stage in report.stages if stage.name == "pseudo")
    reports = [RunFolder(out / place).read_report("val-flip") for place in pseudo.runs]
    lab: Any = SimpleNamespace(settings=SimpleNamespace(metric="tasks.mask.accuracy"))
    assert views.mean_score(lab, reports) == pytest.approx(np.mean([one.tasks["mask"].accuracy for one in reports]))


def test_what_was_done_is_not_done_again(cooked: Cooked) -> None:
    cook, report, out, _ = cooked
    for name in ("pseudo", "views", "ensemble"):
        (out / "stages" / name / "report.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("labels*.csv")}
    trained = {path: path.stat().st_mtime_ns for path in out.rglob("metrics.jsonl")}
    again = cook()
    assert [replace(stage, seconds=0.0, estimate_s=None) for stage in again.stages] == [
        replace(stage, seconds=0.0, estimate_s=None) for stage in report.stages
    ]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    own = [path for path in trained if "ensemble" not in path.relative_to(out).parts[0]]
    assert {path: path.stat().st_mtime_ns for path in own} == {path: trained[path] for path in own}
    assert RunFolder(out / "ensemble").report().is_file()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"images": "nowhere"}, r"images: .*nowhere: no such file or folder"),
        ({"images": ".", "group_column": "who"}, r"group_column: would be ignored: none of the paths is a table"),
    ],
)
def test_images_that_are_not_there_are_told_before_anything_is_written(
    write_recipe: Make, tmp_path: Path, settings: dict[str, Any], line: str
) -> None:
    file = write_recipe(tmp_path, stages=["baseline", "folds", {"name": "pseudo", **settings}])
    with pytest.raises(UserError, match=rf"^stages\.pseudo\.{line}"):
        run_recipe(load_recipe(file), RecipeFolder(tmp_path / "out"), StudyProgress())
    assert not (tmp_path / "out").exists()
