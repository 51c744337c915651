"""What the work of stages is reckoned to cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch

from multitask.bakeoff.plan import digest_of
from multitask.config import Config
from multitask.data.crop import CentreSettings
from multitask.data.sources.several import PartSettings
from multitask.data.sources.synthetic import SyntheticSettings
from multitask.progress import StudyProgress
from multitask.recipe.budget import Clock
from multitask.recipe.folder import RecipeFolder
from multitask.recipe.lab import Candidate, Lab
from multitask.recipe.settings import load_recipe
from multitask.recipe.stage import of_length
from multitask.recipe.stages.crop import CropStageSettings
from multitask.recipe.stages.partial import PartialSettings
from multitask.runs.data_module import DataModule

FROZEN = {"model.backbone.freeze": "all", "augment.strength": 0.0}
"""Beside weights, of which features are kept."""
TOP = {"data.crop": {"name": "centre", "left": 0.0, "top": 0.0, "right": 1.0, "bottom": 0.5}}


@pytest.fixture
def make_lab(recipe_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Lab]:
    """Makes a lab of the drawn set's config with changes, and of a backbone with weights."""

    def make(changes: dict[str, object]) -> Lab:
        weights = tmp_path / "weights.pth"
        torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), weights)
        backbone = {"name": "test_resnet", "weights": str(weights)}
        changes = {"model.backbone": backbone, "data.cache_dir": str(tmp_path / "kept"), **changes}
        folder = RecipeFolder(tmp_path / "out")
        folder.reuse.mkdir(parents=True, exist_ok=True)
        clock = Clock(folder.clock, 3600)
        clock.keeps = True
        return Lab(load_recipe(recipe_file(changes)), folder, clock, StudyProgress())

    return make


@pytest.mark.parametrize("changes", [{}, FROZEN])
def test_images_and_features_that_no_run_has_kept_are_reckoned_with_and_no_others(
    make_lab: Callable[..., Lab], changes: dict[str, object]
) -> None:
    lab = make_lab({"data.cache": "disk", **changes})
    other = lab.config.with_changes(TOP)
    assert lab.costs.preparing_seconds([lab.config, other]) == 0, "nothing was measured"
    began = time.monotonic()
    lab.pick("crop", [Candidate("as it stands", {})], epochs=1)
    elapsed = time.monotonic() - began
    clock = lab.clock
    assert clock.image_s is not None
    assert clock.preparing_image_s > 0
    num_images = sum(map(len, lab.costs.split(lab.config).parts().values()))
    one_epoch = lab.costs.seconds(of_length(lab.config, 1))
    assert one_epoch + clock.preparing_image_s * num_images <= elapsed, "no second counts twice"
    assert lab.costs.preparing_seconds([lab.config]) == 0
    one = lab.costs.preparing_seconds([other])
    assert one == pytest.approx(clock.preparing_image_s * num_images)
    assert lab.costs.preparing_seconds([lab.config, other, other]) == one
    assert lab.costs.preparing_seconds([lab.config], more=5) == pytest.approx(
        clock.preparing_image_s * (num_images + 5)
    )


def test_what_a_run_takes_beside_its_epochs_is_reckoned_once_a_run(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab({"data.cache": "disk"})
    lab.epochs = 1
    lab.pick("crop", [Candidate("as it stands", {})], epochs=1)  # the files' first reader
    lab.clock._num_trained = 0  # an image's time is the second run's alone, however long the first was held up
    before, began = lab.clock.run_s, time.monotonic()
    lab.pick("crop", [Candidate("slower", {"training.lr": 1e-5})], epochs=2)
    elapsed, clock = time.monotonic() - began, lab.clock
    assert clock.image_s is not None
    split = lab.costs.split(lab.config)
    epoch_s = clock.image_s * (len(split.train) + (len(split.val) + len(split.pick)) / 3)
    run_s = 2 * clock.run_s - before  # the last run's, of the mean
    assert 0 < run_s < elapsed
    for epochs in (1, 2, 20):
        assert lab.costs.seconds(of_length(lab.config, epochs)) == pytest.approx(clock.run_s + epochs * epoch_s)
    judged = lab.judged_config(lab.config, 0, epochs=2)
    assert lab.costs.seconds(judged, 3) > 3 * clock.run_s
    history = lab.folder.run(digest_of(of_length(lab.config.with_changes({"training.lr": 1e-5}), 2), decode=True))
    trained_s = sum(row.seconds or 0.0 for row in history.read_history())
    assert run_s + trained_s <= elapsed, "no second counts twice"


def test_what_features_are_of_decides_whether_they_are_kept(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(FROZEN)
    lab.pick("study", [Candidate("as it stands", {})], epochs=1)

    def is_kept(**changes: object) -> bool:
        config: Config = lab.config.with_changes(changes)
        return lab.costs.preparing_seconds([config]) == 0

    assert is_kept(**{"training.lr": 0.5, "training.epochs": 1, "heads.mask.weight": 2.0})
    assert not is_kept(**{"model.backbone.drop_path": 0.1})
    assert not is_kept(**{"data.image_size": [32, 32]})
    assert not is_kept(**{"augment.strength": 0.5}), "images are decoded then, and no features kept"


def test_a_stage_is_planned_with_the_images_that_it_is_the_first_to_read(
    make_lab: Callable[..., Lab], drawn: Path
) -> None:
    lab = make_lab({})
    lab.epochs, lab.clock.image_s = 2, 0.0  # training costs nothing here
    lab.clock.prepared("of another run", 10.0, 10)
    num_images = sum(map(len, lab.costs.split(lab.config).parts().values()))
    crop = CropStageSettings(crops={"top": CentreSettings(bottom=0.5)})
    assert crop.plan(lab, 1e6).seconds == pytest.approx(2 * num_images), "as it stands, and the top"
    ages = PartSettings(root=str(drawn), source=SyntheticSettings(), tasks=("age",))
    assert PartialSettings(sources={"ages": ages}).plan(lab, 1e6).seconds > num_images


def test_answers_are_reckoned_by_the_image_and_by_what_reading_one_takes(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab({})
    lab.clock.image_s = 0.3
    num_val = len(lab.costs.split(lab.config).val)
    assert lab.costs.answering_seconds(lab.config, val=4) == pytest.approx(0.1 * 4 * num_val)
    assert lab.costs.answering_seconds(lab.config, 3, val=2, test=5) == pytest.approx(0.1 * 6 * num_val), "nobody tests"
    lab.clock.prepared("frozen", 2.0, 10)
    assert lab.costs.answering_seconds(lab.config, val=1) == pytest.approx(0.2 * num_val)


def test_an_epoch_costs_what_its_sampler_serves(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab({})
    few = lab.config.with_changes({"data.sampler": {"name": "per_group", "of": "group"}})
    lab.clock.image_s = 1.0
    num_groups = len(set(DataModule(few).dataset.training_samples().groups))
    served = lab.costs.epoch_seconds(lab.config, 1) - lab.costs.epoch_seconds(few, 1)
    assert served == pytest.approx(lab.costs.num_images(few) - num_groups)
    lab.pick("few", [Candidate("few", {"data.sampler": few.data.sampler.model_dump()})], epochs=1)
    (epoch,) = lab.folder.run(digest_of(of_length(few, 1), decode=True)).read_history()
    assert epoch.seconds is not None
    assert lab.clock.image_s == pytest.approx(epoch.seconds / num_groups)
