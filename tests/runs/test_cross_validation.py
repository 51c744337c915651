"""A run in folds: everybody is answered by the network that never saw them, and the folds are one ensemble."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multitask.config import Config, load_config
from multitask.data.splits import fold as deal
from multitask.errors import UserError
from multitask.evaluation.predictions import Predictions
from multitask.progress import Progress
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.cross_validation import fold_configs, members, run_folds
from multitask.runs.data_module import DataModule
from multitask.runs.evaluate import evaluate
from multitask.runs.folder import RunFolder, overview
from multitask.runs.page import write_page
from multitask.runs.predict import write_submission
from multitask.runs.run import run
from multitask.utils.records import to_json_data
from tests.processes import Forked, kill_once_stopped, stops_after
from tests.runs.same_run import StoppedError, assert_same_run

MakeConfig = Callable[..., Config]
NUM_FOLDS = 3
FOLDS = {"data.val_fraction": 0.2}  # which --folds takes the place of


@pytest.fixture(scope="module", params=["shared", "flat"])
def folded(request: pytest.FixtureRequest, tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in folds; not to be written to."""
    path = tmp_path_factory.mktemp("folded") / "run"
    run_folds(tiny({**FOLDS, "model.sharing.name": request.param}), NUM_FOLDS, path)
    return path


@pytest.fixture
def copy(folded: Path, tmp_path: Path) -> Path:
    """A finished run in folds of one's own, under the same name."""
    return Path(shutil.copytree(folded, tmp_path / "run"))


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read(folder: RunFolder, config: Config, split: str = "val") -> Predictions:
    return Predictions.from_csv(folder.predictions(split), config.space(), config.learned_space())


def without_times(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    found.pop("created")
    found["training"].pop("seconds")
    return found


def assert_same_folds(one: Path, other: Path) -> None:
    assert without_times(one / "report.json") == {**without_times(other / "report.json"), "run": one.name}
    for name in ("predictions-val.csv", "split.csv", "config.yaml", "data.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for index in range(NUM_FOLDS):
        assert_same_run(one / "folds" / str(index), other / "folds" / str(index))


# --- what it gives ----------------------------------------------------------------------------------------------


def test_folder_is_a_run_folder_with_one_for_every_fold_below(folded: Path) -> None:
    assert {path.name for path in folded.iterdir()} == {
        "config.yaml", "environment.json", "data.json", "split.csv", "predictions-val.csv", "report.json", "folds",
        "decode.json",
    }  # fmt: skip
    assert {path.name for path in (folded / "folds").iterdir()} == {"0", "1", "2"}
    folder, config = trained = read_run(folded)
    assert (folder.num_folds, config.data.folds) == (NUM_FOLDS, None)
    for index, (member, own) in enumerate(members(trained)):
        assert (own.data.folds, own.data.fold) == (NUM_FOLDS, index)
        assert read_run(member.path)[1] == own
        assert member.name == f"run/folds/{index}"
        assert member.num_folds is None


def test_everybody_is_answered_once_by_the_network_that_never_saw_them(folded: Path) -> None:
    folder, config = read_run(folded)
    data = DataModule(config)
    predictions = read(folder, config)
    assert sorted(predictions.images) == sorted(data.samples.images)
    dealt = {row["image"]: row["fold"] for row in table(folder.split)}
    rows = iter((folded / "predictions-val.csv").read_text().splitlines()[1:])
    for index in range(NUM_FOLDS):
        member = folder.fold(index)
        sides = {row["image"]: row["split"] for row in table(member.split)}
        own = (member.path / "predictions-val.csv").read_text().splitlines()[1:]
        assert own
        for line in own:  # to the letter
            assert next(rows) == line
            image = line.split(",")[0]
            assert sides[image] == "val"
            assert dealt[image] == str(index)
        groups = {
            side: {row["group"] for row in table(member.split) if row["split"] == side} for side in ("train", "val")
        }
        assert not groups["train"] & groups["val"]
    assert next(rows, None) is None


def test_report_is_over_all_answers_and_has_a_row_for_every_fold(folded: Path) -> None:
    folder, config = read_run(folded)
    report, predictions = folder.read_report(), read(folder, config)
    assert report.num_images == len(predictions) == 12 * 7
    assert report.num_groups == 12
    assert report.joint.accuracy == pytest.approx(np.mean(predictions.predicted == predictions.classes))
    assert report.joint.num_images == sum(row.num_images for row in report.folds)
    for index, row in enumerate(report.folds):
        own = folder.fold(index).read_report()
        assert row.fold == index
        assert row.macro_f1 == own.joint.macro_f1
        assert row.tasks == {task: figures.macro_f1 for task, figures in own.tasks.items()}
        assert (row.num_groups, row.best_epoch) == (own.num_groups, own.training.best_epoch)
    training = report.training
    assert (training.num_folds, training.num_epochs) == (NUM_FOLDS, 2 * NUM_FOLDS)
    assert training.num_parameters == NUM_FOLDS * folder.fold(0).read_report().training.num_parameters
    assert report.class_distribution["all folds"].num_groups == 12


def test_a_fold_is_the_run_of_its_config(folded: Path, tmp_path: Path) -> None:
    _, config = read_run(folded)
    run(fold_configs(config, NUM_FOLDS)[1], tmp_path / "1")
    assert_same_run(folded / "folds" / "1", tmp_path / "1")


def test_only_some_groups_train_in_every_fold_and_held_out_cells_in_none(tiny: MakeConfig, tmp_path: Path) -> None:
    cell = {"mask": "incorrect", "gender": "female"}
    changes = {**FOLDS, "training.epochs": 1, "training.schedule.warmup_epochs": 0}
    config = tiny({**changes, "data.train_groups": 5, "data.held_out": [cell]})
    report = run_folds(config, 2, tmp_path / "run").report
    assert report is not None
    assert report.num_groups == 12
    held = [row.support for row in report.joint.classes[9:12]]
    assert report.unseen.num_images == sum(held) > 0
    for index in range(2):
        distribution = RunFolder(tmp_path / "run").fold(index).read_report().class_distribution["train"]
        assert distribution.num_groups == 5
        assert distribution.joint[9:12] == (0, 0, 0)


# --- what is done with it ---------------------------------------------------------------------------------------


def test_evaluating_on_val_gives_the_same_again(copy: Path) -> None:
    before = contents(copy)
    report = evaluate(read_run(copy), "val", Progress())
    assert contents(copy) == before
    assert to_json_data(report) == json.loads(before["report.json"])


def test_new_images_are_answered_by_the_vote_of_all_folds(copy: Path, drawn: Path, tmp_path: Path) -> None:
    folder, config = trained = read_run(copy)
    report = evaluate(trained, "eval", Progress())
    found = read(folder, config, "eval")
    assert report.num_images == len(found)
    assert report.folds is None
    parts = []
    for member, own in members(trained):
        evaluate(TrainedRun(member, own), "eval", Progress())
        parts.append(read(member, own, "eval"))
    for head, log_probs in found.log_probs.items():
        mean = torch.stack([part.log_probs[head] for part in parts]).mean(dim=0)
        torch.testing.assert_close(log_probs, mean.log_softmax(dim=1), atol=1e-5, rtol=1e-5)
    joint = torch.stack([part.joint_log_probs() for part in parts]).mean(dim=0)
    assert (found.predicted == joint.argmax(dim=1).numpy()).all()
    assert write_submission(trained, drawn, tmp_path / "answers.csv", Progress()) == len(found)
    given = [int(row["ans"]) for row in table(tmp_path / "answers.csv")]
    ids = [row["ImageID"] for row in table(tmp_path / "answers.csv")]
    expected = {image.rpartition("/")[2]: answer for image, answer in zip(found.images, found.predicted, strict=True)}
    assert given == [expected[name.rpartition("/")[2]] for name in ids]


@pytest.mark.parametrize("split", ["train", "all"])
def test_a_split_that_everybody_trained_on_is_refused(copy: Path, split: str) -> None:
    with pytest.raises(UserError, match=f"^--split {split}: in folds every group trains and validates"):
        evaluate(read_run(copy), split, Progress())


def test_page_shows_the_folds_and_images(copy: Path) -> None:
    page = write_page(read_run(copy), "val").read_text()
    assert "Fold by fold" in page
    assert "data:image/jpeg" in page
    evaluate(read_run(copy), "eval", Progress())
    assert "Fold by fold" not in write_page(read_run(copy), "eval").read_text()


def test_unfinished_run_is_listed_as_such_and_answers_nothing(copy: Path, drawn: Path, tmp_path: Path) -> None:
    assert overview(RunFolder(copy), tmp_path).epochs == "3 of 3 folds"
    (copy / "folds" / "1" / "report.json").unlink()
    (copy / "report.json").unlink()
    row = overview(RunFolder(copy), tmp_path)
    assert (row.epochs, row.state) == ("2 of 3 folds", "not reported")
    line = (
        f"{copy}: fold 1 of 3 is not finished; go on with `multitask train {copy / 'config.yaml'} --folds 3 "
        f"--out {copy} --resume`"
    )
    out = tmp_path / "answers.csv"
    for act in (
        lambda: evaluate(read_run(copy), "val", Progress()),
        lambda: evaluate(read_run(copy), "eval", Progress()),
        lambda: write_submission(read_run(copy), drawn, out, Progress()),
    ):
        with pytest.raises(UserError) as caught:
            act()
        assert str(caught.value) == line
    assert not out.exists()


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "num_folds", "line"),
    [
        (FOLDS, 1, "--folds: must be at least 2, found 1"),
        (
            {**FOLDS, "data.folds": 4, "data.fold": 1},
            3,
            "data.folds: is 4, but --folds 3 runs every fold; leave it out",
        ),
        (
            {"data.val_fraction": 0.3},
            3,
            "data.val_fraction: 0.3 would be ignored beside --folds 3; leave it out, or --set data.val_fraction=0.2",
        ),
        (FOLDS, 13, "data.folds: 13 were asked for, but there are 12 groups"),
        ({**FOLDS, "data.train_groups": 9}, 3, "data.train_groups: 9 were asked for, but there are 8 to train"),
        ({**FOLDS, "device": "gpu"}, 3, "device: must be auto, cpu, cuda or cuda:N, found 'gpu'"),
    ],
)
def test_mistake_is_one_line_and_leaves_nothing(
    changes: dict[str, Any], num_folds: int, line: str, tiny: MakeConfig, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        run_folds(tiny(changes), num_folds, tmp_path / "run")
    assert str(caught.value) == line
    assert not (tmp_path / "run").exists()


def test_mistake_in_the_last_fold_is_found_before_the_first_is_trained(
    tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All of the oldest are in one fold, and so nobody who trains beside it: their label is lost only there.
    config = tiny({**FOLDS, "data.held_out": [{"gender": "female", "age": ">=60"}]})
    samples = DataModule(tiny(FOLDS)).samples
    old_men = (samples.labels[:, 1] == 0) & (samples.labels[:, 2] == 2)
    assert old_men.any()

    def together(samples: Any, index: int, count: int, seed: int) -> Any:
        split = deal(samples, index, count, seed)
        val = np.setdiff1d(split.val, np.flatnonzero(old_men))
        if index == count - 1:
            val = np.union1d(val, np.flatnonzero(old_men))
        return type(split)(np.setdiff1d(np.arange(len(samples)), val), val)

    monkeypatch.setattr("multitask.data.splits.fold", together)
    with pytest.raises(UserError, match=r"^data\.held_out: leaves no image of age '>=60' to train on"):
        run_folds(config, 3, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("existed", [False, True])
def test_unreadable_image_leaves_nothing(tiny: MakeConfig, drawn: Path, tmp_path: Path, existed: bool) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(drawn, data)
    next(data.glob("train/images/*/*.jpg")).write_bytes(b"no image")
    if existed:
        out.mkdir()
    with pytest.raises(UserError, match=r"\.jpg: "):
        run_folds(tiny({**FOLDS, "data.root": str(data)}), 3, out)
    assert (list(out.iterdir()) if existed else out.exists()) == ([] if existed else False)


def test_folder_of_another_run_is_refused(folded: Path, tiny: MakeConfig, tmp_path: Path) -> None:
    before = contents(folded)
    _, config = read_run(folded)
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: run_folds(config, 3, folded), "holds a run already; continue it with --resume"),
        (
            lambda: run_folds(config, 4, folded, resume=True),
            "holds a run in 3 folds; continue it with --folds 3 or name",
        ),
        (lambda: run(config, folded, resume=True), "holds a run in 3 folds; continue it with --folds 3 or name"),
        (
            lambda: run_folds(config.model_copy(update={"seed": 7}), 3, folded, resume=True),
            "^seed: the run in .* began with 0, found 7$",
        ),
    ]
    for act, line in cases:
        with pytest.raises(UserError, match=line):
            act()
    assert contents(folded) == before
    run(tiny({**FOLDS, "training.epochs": 1, "training.schedule.warmup_epochs": 0}), tmp_path / "plain")
    with pytest.raises(UserError, match="holds a run that is not in folds; continue it without --folds or name"):
        run_folds(tiny(FOLDS), 3, tmp_path / "plain", resume=True)


def test_other_data_is_refused_even_for_folds_that_have_not_begun(
    tiny: MakeConfig, drawn: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(drawn, data)
    config = tiny({**FOLDS, "data.root": str(data), "training.epochs": 1, "training.schedule.warmup_epochs": 0})
    with pytest.raises(StoppedError):
        run_folds(config, 3, tmp_path / "run", on_epoch=stop_in_fold(1, tmp_path / "run"))
    shutil.rmtree(tmp_path / "run" / "folds" / "1")
    images = sorted(data.glob("train/images/*/*.jpg"))
    shutil.copy(images[1], images[0])
    with pytest.raises(UserError, match=r"is not the data that the run in .* began with$"):
        run_folds(config, 3, tmp_path / "run", resume=True)


# --- going on ---------------------------------------------------------------------------------------------------


def stop_in_fold(index: int, out: Path) -> Callable[[dict[str, Any]], None]:
    """Ends the run after the first epoch of a fold."""

    def on_epoch(record: dict[str, Any]) -> None:
        if (out / "folds" / str(index)).exists():
            raise StoppedError

    return on_epoch


@pytest.mark.parametrize("index", [0, 2])
def test_resumed_run_is_that_of_one_never_stopped(index: int, folded: Path, tmp_path: Path) -> None:
    _, config = read_run(folded)
    out = tmp_path / "parts"
    with pytest.raises(StoppedError):
        run_folds(config, NUM_FOLDS, out, on_epoch=stop_in_fold(index, out))
    assert not (out / "report.json").exists()
    done = {path: path.stat().st_mtime_ns for path in out.glob("folds/*/report.json")}
    assert len(done) == index
    heard: list[tuple[int, int, bool]] = []

    class Listening(Progress):
        def fold(self, index: int, num_folds: int, done: bool) -> None:
            heard.append((index, num_folds, done))

    run_folds(config, NUM_FOLDS, out, resume=True, progress=Listening())
    assert heard == [(fold, NUM_FOLDS, fold < index) for fold in range(NUM_FOLDS)]
    assert done == {path: path.stat().st_mtime_ns for path in done}  # what was finished is not done again
    assert_same_folds(folded, out)


def test_more_epochs_are_those_of_folds_that_had_them_from_the_start(tiny: MakeConfig, tmp_path: Path) -> None:
    def config(epochs: int) -> Config:
        schedule = {"name": "step", "factor": 1.0, "warmup_epochs": 0}
        return tiny({**FOLDS, "training.schedule": schedule, "training.patience": None, "training.epochs": epochs})

    whole = run_folds(config(2), 2, tmp_path / "whole")
    began = run_folds(config(1), 2, tmp_path / "run")
    longer = run_folds(config(2), 2, tmp_path / "run", resume=True)
    assert [row.num_epochs for row in longer.report.folds] == [2, 2]
    assert [row.num_epochs for row in began.report.folds] == [1, 1]
    assert longer.folder.predictions().read_bytes() == whole.folder.predictions().read_bytes()
    with pytest.raises(UserError, match=r"^training\.epochs: the run in .* began with 2, found 1"):
        run_folds(config(1), 2, tmp_path / "run", resume=True)


@pytest.mark.timeout(900)  # four processes one after the other, on a machine that may be busy
def test_killed_process_goes_on_to_the_same_out_of_fold_table(tiny: MakeConfig, tmp_path: Path) -> None:
    config = tiny({**FOLDS, "training.epochs": 4, "training.ema": {"decay": 0.9}})
    whole, parts, file = tmp_path / "whole", tmp_path / "parts", tmp_path / "config.yaml"
    file.write_text(config.to_yaml())
    run_folds(config, NUM_FOLDS, whole)

    def start(**more: str) -> subprocess.Popen[str]:
        words = ["train", str(file), "--folds", str(NUM_FOLDS), "--out", str(parts), "--resume", "--quiet"]
        command = [sys.executable, "-m", "multitask", *words]
        return Forked(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **more})

    moments = [
        # Before a run has a checkpoint, test_resumed_runs.py kills it.
        ("write_history", "args[0].path.name == '0' and len(args[1]) == 2"),  # within the first fold
        ("create", "args[0].path.name == '1'"),  # as the second fold begins
        ("write_history", "args[0].path.name == '2'"),  # within the last fold
    ]
    for method, when in moments:
        kill_once_stopped(start(**stops_after(f"multitask.runs.folder:RunFolder.{method}", when)))
    assert not (parts / "report.json").exists()
    process = start()
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert_same_folds(whole, parts)


@pytest.mark.parametrize(
    "changes",
    [
        {"data.val_fraction": 0},
        {"data.val_fraction": 0.25, "training.epochs": 1},
        {"data.val_fraction": 0.2, "data.folds": 3, "data.fold": 2},
        {"data.val_fraction": 0.2},
    ],
)
def test_the_line_that_trains_a_run_in_folds_is_not_refused(
    tiny: MakeConfig, tmp_path: Path, changes: dict[str, object]
) -> None:
    folder = RunFolder(tmp_path / "a run")
    folder.path.mkdir()
    config = tiny(changes)
    folder.config.write_text(config.to_yaml())
    words = shlex.split(TrainedRun(folder, config).folds_command)
    options = list(zip(words[3::2], words[4::2], strict=True))
    assert words[:2] == ["multitask", "train"]
    assert options[0] == ("--folds", "5")
    loaded = load_config(Path(words[2]), [value for option, value in options if option == "--set"])
    assert len(fold_configs(loaded, 5)) == 5
