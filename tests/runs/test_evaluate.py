from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multitask.config import Config
from multitask.errors import UserError
from multitask.evaluation.decode.expected import posteriors
from multitask.evaluation.decode.fitted_rules import FittedRules
from multitask.evaluation.predictions import Predictions
from multitask.evaluation.prior_shift import Answered, em_prior
from multitask.labels import MISSING
from multitask.progress import Progress
from multitask.runs.config import TrainedRun, read_run
from multitask.runs.evaluate import evaluate
from multitask.runs.label_prior import with_label_prior
from multitask.runs.out_of_fold import OutOfFold
from multitask.runs.page import write_page
from multitask.runs.predict import write_submission
from multitask.runs.run import run
from multitask.training.checkpoint import load_checkpoint, save_checkpoint
from multitask.utils.records import to_json_data

MakeConfig = Callable[..., Config]


@pytest.fixture(scope="module", params=["shared", "flat", "separate", "branch"])
def trained(request: pytest.FixtureRequest, tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; not to be written to."""
    path = tmp_path_factory.mktemp("trained") / "run"
    needed = {"branch": {"model.sharing.at": "layer2"}}.get(request.param, {})
    run(tiny({"model.sharing.name": request.param, "training.ema": {"decay": 0.5}, **needed}), path)
    return path


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A finished run of one's own, under the same name."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    """A drawn set of one's own."""
    return Path(shutil.copytree(drawn, tmp_path / "data"))


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def answers(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# --- evaluate ---------------------------------------------------------------------------------------------------


def test_evaluating_on_val_gives_the_runs_own_report_again(copy: Path) -> None:
    before = contents(copy)
    report = evaluate(read_run(copy), "val", Progress())
    assert contents(copy) == before
    assert to_json_data(report) == json.loads(before["report.json"])


def test_splits_are_scored_on_their_own_images(copy: Path) -> None:
    folder, config = trained = read_run(copy)
    sizes, scores = {}, {}
    before = contents(copy)
    for split in ("train", "val", "all", "eval"):
        report = evaluate(trained, split, Progress())
        sizes[split], scores[split] = report.num_images, report.joint.accuracy
        assert report.split == split
        assert json.loads(folder.report(split).read_text()) == to_json_data(report)
        predictions = Predictions.from_csv(folder.predictions(split), config.space(), config.learned_space())
        assert len(predictions) == report.num_images
        assert predictions.num_groups == report.num_groups
        assert np.mean(predictions.predicted == predictions.classes) == pytest.approx(report.joint.accuracy)
    assert sizes["all"] == sizes["train"] + sizes["val"] == 12 * 7
    assert sizes["eval"] == len(answers(Path(config.data.root) / "eval" / "info.csv"))
    hits = scores["train"] * sizes["train"] + scores["val"] * sizes["val"]
    assert scores["all"] * sizes["all"] == pytest.approx(hits)
    assert {name: content for name, content in contents(copy).items() if name in before} == before


def test_nobody_in_the_split_is_refused(tiny: MakeConfig, tmp_path: Path) -> None:
    run(tiny({"data.val_fraction": 0.0, "training.epochs": 1}), tmp_path / "run")
    with pytest.raises(UserError, match=r"^--split val: no image is in it \(data.val_fraction is 0\)$"):
        evaluate(read_run(tmp_path / "run"), "val", Progress())


def test_data_may_have_moved(copy: Path, data: Path) -> None:
    before = contents(copy)
    evaluate(read_run(copy, data), "val", Progress())
    assert contents(copy) == before


def test_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run folder"):
        read_run(tmp_path)


def test_damaged_config_of_a_run_is_named(copy: Path) -> None:
    (copy / "config.yaml").write_text("labels: {}\n")
    with pytest.raises(UserError, match=f"^{copy / 'config.yaml'}: "):
        read_run(copy)


def test_damaged_missing_and_foreign_checkpoints_are_refused(copy: Path, data: Path) -> None:
    best = copy / "checkpoints" / "best.safetensors"
    whole = best.read_bytes()
    out = copy.parent / "answers.csv"

    def refused(match: str) -> None:
        before = contents(copy)
        for act in (
            lambda: evaluate(read_run(copy), "val", Progress()),
            lambda: write_submission(read_run(copy), data, out, Progress()),
        ):
            with pytest.raises(UserError, match=match) as caught:
                act()
            assert str(caught.value).startswith(str(best))
            assert "\n" not in str(caught.value)
        assert contents(copy) == before
        assert not out.exists()

    best.write_bytes(whole[:-10])
    refused("is damaged")
    best.write_bytes(whole[:-10] + b"0123456789")
    refused("its checksum does not match its content")
    state = load_checkpoint_of(best, whole)
    save_checkpoint(best, {**state, "network": {"other": torch.zeros(1)}})
    refused("does not fit the run's network")
    save_checkpoint(best, {"epoch": 1})
    refused("does not fit the run's network")
    name = next(iter(state["network"]))
    save_checkpoint(best, {**state, "network": {**state["network"], name: state["network"][name] * torch.nan}})
    refused(f"does not fit the run's network: {name} holds what is no number")
    best.unlink()
    refused("no such checkpoint")


def load_checkpoint_of(path: Path, content: bytes) -> dict[str, Any]:
    path.write_bytes(content)
    return load_checkpoint(path)


# --- predict ----------------------------------------------------------------------------------------------------


def test_answers_stand_in_the_order_of_the_list(trained: Path, data: Path, tmp_path: Path) -> None:
    table = data / "eval" / "info.csv"
    rows = [row["ImageID"] for row in answers(table)]
    shuffled = [str(name) for name in np.random.default_rng(0).permutation(rows)]
    opened = read_run(trained)
    given = {}
    for order in (rows, shuffled):
        table.write_text("ImageID,ans\n" + "".join(f"{name},0\n" for name in order))
        out = tmp_path / "answers.csv"
        assert write_submission(opened, data, out, Progress()) == len(rows)
        assert out.read_text().splitlines()[0] == "ImageID,ans"
        found = answers(out)
        assert [row["ImageID"] for row in found] == order
        assert all(0 <= int(row["ans"]) < 18 for row in found)
        given[order[0]] = {row["ImageID"]: row["ans"] for row in found}
    assert len({json.dumps(one, sort_keys=True) for one in given.values()}) == 1


def test_answers_are_those_that_evaluate_scores(copy: Path, drawn: Path, tmp_path: Path) -> None:
    trained = read_run(copy)
    out = tmp_path / "answers.csv"
    write_submission(trained, drawn, out, Progress())
    report = evaluate(trained, "eval", Progress())
    truth = {row["ImageID"]: row["ans"] for row in answers(drawn / "answers.csv")}
    hits = np.mean([truth[row["ImageID"]] == row["ans"] for row in answers(out)])
    assert hits == pytest.approx(report.joint.accuracy)


@pytest.mark.parametrize("damage", ["truncated", "text", "missing", "empty"])
@pytest.mark.parametrize("cache", ["auto", "none"])
def test_image_that_cannot_be_read_is_named_and_nothing_is_written(
    damage: str, cache: str, trained: Path, data: Path, tmp_path: Path
) -> None:
    victim = data / "eval" / "images" / answers(data / "eval" / "info.csv")[3]["ImageID"]
    if damage == "missing":
        victim.unlink()
    else:
        content = victim.read_bytes()
        victim.write_bytes({"truncated": content[: len(content) // 2], "text": b"no image", "empty": b""}[damage])
    folder, config = read_run(trained)
    config = config.model_copy(update={"data": config.data.model_copy(update={"cache": cache})})
    out = tmp_path / "answers.csv"
    for old in (None, "old answers"):
        if old:
            out.write_text(old)
        with pytest.raises(UserError, match=f"^{victim}: ") as caught:
            write_submission(TrainedRun(folder, config), data, out, Progress())
        assert "\n" not in str(caught.value)
        assert (out.read_text() if out.exists() else None) == old
    assert {path.name for path in tmp_path.iterdir()} <= {"answers.csv", "data", "run"}


def test_place_that_cannot_be_written_to_is_refused_before_anything_is_read(trained: Path, tmp_path: Path) -> None:
    opened = read_run(trained)
    for out, rule in ((tmp_path, "is a folder; name a file"), (tmp_path / "no" / "a.csv", "there is no folder")):
        with pytest.raises(UserError, match=rule):
            write_submission(opened, tmp_path / "absent", out, Progress())


# --- decode rules -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose decode rule was fitted; not to be written to."""
    path = tmp_path_factory.mktemp("fitted") / "run"
    run(tiny({"decode.name": "class_bias", "training.epochs": 1, "data.val_fraction": 0.5}), path)
    return path


def test_fitted_rules_travel_with_the_run_and_answer_others(fitted: Path, drawn: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(fitted, tmp_path / "run"))
    folder, config = trained = read_run(copy)
    space = config.space()
    kept = FittedRules.read(folder.decode, space)
    assert kept.used == "class_bias"
    report = evaluate(trained, "eval", Progress())
    predictions = Predictions.from_csv(folder.predictions("eval"), space, space)
    assert predictions.predicted.tolist() == kept.rule().decode(predictions.outputs()).tolist()
    assert report.decode_rules.cross_fitted is False
    used = next(row for row in report.decode_rules.rules if row.name == "class_bias")
    assert used.macro_f1 == pytest.approx(report.joint.macro_f1)

    # Tiny networks tell no labels apart, and so of none a prior is given; a network that does is put in its place.
    assert report.label_prior is not None
    assert {*report.label_prior.priors, *report.label_prior.unknown} == {*space.task_names, "joint"}
    rng = np.random.default_rng(0)
    labels = {name: rng.integers(2 if name == "gender" else 3, size=300) for name in space.task_names}
    sure = {
        name: Answered(0.8 * np.eye(row.max() + 1)[row] + 0.2 / (row.max() + 1), row, np.arange(300))
        for name, row in labels.items()
    }
    none = np.full(300, MISSING)
    known = OutOfFold(space, {**sure, "joint": Answered(np.full((300, 18), 1 / 18), none, np.arange(300))}, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("multitask.runs.label_prior.read_out_of_fold", lambda _: known)
        prior = with_label_prior(trained, report).label_prior
    assert prior is not None
    assert list(prior.priors) == list(space.task_names)
    natural = {name: np.array(values) for name, values in kept.shifts.items()}
    probs = posteriors(predictions.outputs(), dict(kept.temperatures), natural).T.reshape(-1, 3, 2, 3)
    expected = em_prior(probs.sum(axis=(1, 3)), sure["gender"].probs.mean(axis=0))
    assert np.allclose(prior.priors["gender"].prior, expected)
    assert folder.read_report("eval").label_prior == prior
    assert "Label prior of these images" in write_page(trained, "eval").read_text()

    # Another bias for one class, and it is all that is ever answered.
    data = json.loads(folder.decode.read_text())
    data["rules"]["class_bias"]["biases"] = [1000.0 * (index == 7) for index in range(18)]
    folder.decode.write_text(json.dumps(data))
    out = tmp_path / "answers.csv"
    write_submission(trained, drawn, out, Progress())
    assert {row["ans"] for row in answers(out)} == {"7"}
    confusion = np.array(evaluate(trained, "train", Progress()).joint.confusion)
    assert confusion[:, 7].sum() == confusion.sum() > 0
    assert folder.read_report("train").label_prior is None

    # Validation groups are answered cross-fitted, and the rules fitted anew.
    before = (fitted / "report.json").read_text()
    evaluate(trained, "val", Progress())
    assert folder.report().read_text() == before
    assert folder.decode.read_text() == (fitted / "decode.json").read_text()


def test_rules_that_are_damaged_or_missing_are_named_and_nothing_is_written(
    fitted: Path, drawn: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(fitted, tmp_path / "run"))
    folder, _ = trained = read_run(copy)
    out = tmp_path / "answers.csv"
    for content, match in (("{", "is damaged"), (None, r"no such file; `multitask evaluate .*run` writes it")):
        folder.decode.unlink() if content is None else folder.decode.write_text(content)
        before = contents(copy)
        for act in (
            lambda: evaluate(trained, "eval", Progress()),
            lambda: write_submission(trained, drawn, out, Progress()),
        ):
            with pytest.raises(UserError, match=f"^{folder.decode}: {match}"):
                act()
        assert contents(copy) == before
        assert not out.exists()
    evaluate(trained, "val", Progress())
    assert folder.decode.read_text() == (fitted / "decode.json").read_text()


def test_a_run_from_before_rules_were_kept_still_answers(copy: Path, drawn: Path, tmp_path: Path) -> None:
    folder, _ = trained = read_run(copy)
    out, other = tmp_path / "answers.csv", tmp_path / "other.csv"
    write_submission(trained, drawn, out, Progress())
    folder.decode.unlink()
    write_submission(trained, drawn, other, Progress())
    assert other.read_text() == out.read_text()
    assert evaluate(trained, "eval", Progress()).decode_rules is None
    write_page(trained, "eval")


# --- report -----------------------------------------------------------------------------------------------------


def test_page_is_written_with_images_and_without_where_the_data_has_gone(copy: Path, data: Path) -> None:
    trained = read_run(copy, data)
    with_images = write_page(trained, "val").read_text()
    assert with_images.startswith("<!DOCTYPE html>") or with_images.lstrip().lower().startswith("<!doctype html>")
    shutil.rmtree(data)
    page = write_page(trained, "val")
    without = page.read_text()
    assert page == copy / "report.html"
    assert len(without) < len(with_images)
    assert str(data) in without  # says what is missing


def test_page_where_one_image_has_gone_is_still_written(copy: Path, data: Path) -> None:
    trained = read_run(copy, data)
    for path in data.glob("train/images/*/mask1.*"):
        path.write_bytes(b"no image")
    assert "mask1" in write_page(trained, "val").read_text()


def test_page_without_a_report_is_refused(copy: Path) -> None:
    with pytest.raises(
        UserError, match=r"report-train.json: no such file; `multitask evaluate .* --split train` writes it"
    ):
        write_page(read_run(copy), "train")
