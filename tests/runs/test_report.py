"""What a report says: answers image by image and to groups, and the priors that the outputs hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from multitask.config import Config
from multitask.evaluation.report_schema import RunReport
from multitask.progress import Progress
from multitask.runs.config import read_run
from multitask.runs.data_module import DataModule
from multitask.runs.evaluate import evaluate
from multitask.runs.folder import RunFolder
from multitask.runs.report import decode_priors
from multitask.runs.run import run

MakeConfig = Callable[..., Config]


def test_class_weights_are_in_the_prior_that_the_outputs_hold(tiny: MakeConfig) -> None:
    config = tiny({"heads.mask.loss.class_weights": {"name": "inverse_frequency"}})
    data = DataModule(config)
    priors = decode_priors(config.objective(), data.dataset.training_samples(), config.data.sampler)
    share = 7  # images of a person: five with a mask, one worn wrongly, one without
    natural = np.exp(priors.natural["mask"])
    assert natural == pytest.approx(np.array([5, 1, 1]) / share, abs=0.05)
    assert np.exp(priors.implied["mask"]) == pytest.approx(np.full(3, 1 / 3), abs=0.05)
    assert priors.implied["gender"] == pytest.approx(priors.natural["gender"])
    assert [*priors.shifts(("mask", "gender", "age"))] == ["mask"]


@pytest.mark.parametrize("sampler", ["class_weighted", "per_group"])
def test_how_often_labels_are_drawn_is_in_the_prior_that_the_outputs_hold(tiny: MakeConfig, sampler: str) -> None:
    """Each of a person's three labels once, or all classes alike, where of seven images five are with a mask."""
    config = tiny({"data.sampler.name": sampler, "joint": {}})
    samples = DataModule(config).dataset.training_samples()
    priors = decode_priors(config.objective(), samples, config.data.sampler)
    assert np.exp(priors.natural["mask"]) == pytest.approx(np.array([5, 1, 1]) / 7, abs=0.05)
    assert np.exp(priors.implied["mask"]) == pytest.approx(np.full(3, 1 / 3), abs=0.05)
    drawn = np.exp(priors.implied["joint"]).reshape(3, -1).sum(axis=1)
    assert drawn / drawn.sum() == pytest.approx(np.full(3, 1 / 3), abs=0.1)


def test_the_images_weights_are_in_the_prior_and_those_of_whole_sources_are_not(tiny: MakeConfig) -> None:
    config = tiny()
    samples = DataModule(config).dataset.training_samples()
    mask = samples.labels[:, 0]

    def shifts(weights: np.ndarray, sources: np.ndarray) -> dict[str, np.ndarray]:
        given = replace(samples, weights=weights.astype(np.float32), sources=sources.astype(object))
        return decode_priors(config.objective(), given, config.data.sampler).shifts(("mask", "gender", "age"))

    one, two = np.full(len(mask), "one"), np.where(mask == 0, "worn", "not worn")
    shift = shifts(np.where(mask == 0, 0.2, 1.0), one)["mask"]
    assert shift - shift[0] == pytest.approx([0, -np.log(5), -np.log(5)])
    assert shifts(np.where(mask == 0, 0.2, 1.0), two) == {}  # which an image shows


@pytest.fixture(scope="module")
def with_groups(tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch, gender declared per group and age found; not to be written to."""
    path = tmp_path_factory.mktemp("grouped") / "run"
    run(tiny({"training.epochs": 1, "data.val_fraction": 0.4, "labels.tasks.gender.per_group": True}), path)
    return path


def without_moments(report: RunReport) -> RunReport:
    return replace(report, grouped=None, run="", created="", training=replace(report.training, seconds=0.0))


def test_both_figures_stand_in_the_report(with_groups: Path) -> None:
    folder = RunFolder(with_groups)
    report = folder.read_report()
    assert report.grouped is not None
    assert report.grouped.per_group == folder.read_data().per_group == ("gender", "age")
    assert report.grouped.declared == ("gender",)
    assert report.grouped.cross_fitted
    assert report.grouped.tasks.keys() == report.tasks.keys()
    assert report.grouped.joint.scores.num_images == report.joint.num_images


def test_other_images_are_answered_by_what_was_kept(with_groups: Path) -> None:
    grouped = evaluate(read_run(with_groups), "eval", Progress()).grouped
    assert grouped is not None
    assert not grouped.cross_fitted
    assert grouped.pooling == RunFolder(with_groups).read_report().grouped.pooling


def test_answers_image_by_image_are_the_same_where_no_task_is_per_group(
    with_groups: Path, tiny: MakeConfig, tmp_path: Path
) -> None:
    none = {"labels.tasks.gender.per_group": False, "labels.tasks.age.per_group": False}
    report = run(tiny({"training.epochs": 1, "data.val_fraction": 0.4, **none}), tmp_path / "run").report
    assert report is not None
    assert report.grouped is None
    assert without_moments(report) == without_moments(RunFolder(with_groups).read_report())
    files = [path / "predictions-val.csv" for path in (with_groups, tmp_path / "run")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert '"grouped"' not in (tmp_path / "run" / "decode.json").read_text()
    assert "per_group" not in (tmp_path / "run" / "data.json").read_text()
