"""A config's losses: of the labels that it trains on, and told of them whatever they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multitask.config import Config
from multitask.data.synthetic import draw_set
from multitask.data.targets import Targets
from multitask.errors import UserError
from multitask.labels import JOINT, MISSING
from multitask.losses import LOSSES
from multitask.losses.marginal import MarginalLoss
from multitask.runs.build_losses import build_losses, number_centres, prior_shifts, trained_labels
from multitask.runs.data_module import DataModule
from multitask.runs.run import run
from multitask.training.checkpoint import load_checkpoint

MakeConfig = Callable[..., Config]


def test_counts_are_those_of_who_trains(tiny: MakeConfig) -> None:
    config = tiny({"joint": {}})
    data = DataModule(config)
    labels = trained_labels(config.objective(), data.dataset.training_samples())
    assert list(labels) == ["mask", "gender", "age", JOINT]
    train = data.samples.take(data.split.train)
    for column, task in enumerate(data.space.tasks):
        expected = np.bincount(train.labels[:, column], minlength=task.num_classes)
        np.testing.assert_array_equal(labels[task.name].counts, expected)
    np.testing.assert_array_equal(labels[JOINT].counts, np.bincount(train.classes, minlength=18))
    ages = train.numbers[:, 2]
    for label, centre in enumerate(number_centres(data.dataset.training_samples())["age"]):
        assert centre == pytest.approx(ages[train.labels[:, 2] == label].mean())


def test_weights_that_are_all_0_are_refused(tiny: MakeConfig) -> None:
    config = tiny()
    samples = DataModule(config).dataset.training_samples()
    with pytest.raises(UserError, match=r"^data\.source: every image that trains has a weight of 0; "):
        build_losses(config.objective(), replace(samples, weights=0 * samples.weights))


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "sum"])
def test_class_weights_that_leave_nothing_to_learn_are_refused(tiny: MakeConfig, loss: str) -> None:
    weighted = {"name": "cross_entropy" if loss == "sum" else loss}
    weighted["class_weights"] = {"name": "explicit", "values": [0, 0, 1]}  # type: ignore[assignment]
    config = tiny({"heads.mask.loss": {"name": "sum", "first": weighted} if loss == "sum" else weighted})
    samples = DataModule(config).dataset.training_samples()
    build_losses(config.objective(), samples)
    labels = samples.labels.copy()
    labels[labels[:, 0] == 2, 0] = MISSING
    with pytest.raises(UserError, match=r"^heads\.mask\.loss: class_weights: are 0 for all 2 classes that the "):
        build_losses(config.objective(), replace(samples, labels=labels))


@pytest.mark.parametrize("sharing", ["shared", "flat"])
def test_a_prior_is_shifted_by_what_the_heads_own_loss_does(tiny: MakeConfig, sharing: str) -> None:
    changes: dict[str, Any] = {"model.sharing.name": sharing}
    if sharing == "shared":
        changes |= {"heads.age.loss": "logit_adjusted", "joint": {}}
    config = tiny(changes)
    data = DataModule(config)
    shifts = prior_shifts(config.objective(), data.dataset.training_samples())
    assert list(shifts) == list(config.loss_weights())
    for name, shift in shifts.items():
        if name != "age":
            assert shift == pytest.approx(0, abs=1e-12), name
    if sharing == "shared":  # adjusted for how frequent its labels are, so that none of it is left
        counts = np.bincount(data.dataset.training_samples().labels[:, 2])
        assert shifts["age"] == pytest.approx(np.log(1 / 3) - np.log(counts / counts.sum()))
        assert shifts[JOINT].shape == (18,)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_and_is_reported_on(tiny: MakeConfig, loss: str) -> None:
    """By what the loop calls: once for every head that can have it, with the real labels and numbers."""
    changes: dict[str, Any] = {"heads.age.loss": loss, "joint": {}}
    row = LOSSES[loss]
    if not row.needs_order:  # type: ignore[attr-defined]
        changes |= {"heads.mask.loss": loss, "joint.loss": loss}
    config = tiny(changes)
    data = DataModule(config)
    learned = data.targets(data.samples.take(data.split.train))
    for column, (name, criterion) in enumerate(
        build_losses(config.objective(), data.dataset.training_samples()).items()
    ):
        criterion.begin_epoch(1, 2)  # type: ignore[operator]
        num = 18 if name == JOINT else config.space().tasks[column].num_classes
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(len(learned.labels), num, generator=generator, requires_grad=True)
        labels, numbers = (torch.from_numpy(part[:, column]) for part in (learned.labels, learned.numbers))
        value = criterion(logits.log_softmax(1), labels, torch.ones(len(labels)), numbers)
        value.backward()
        assert value > 0
        assert logits.grad is not None
        assert logits.grad.abs().sum() > 0


def test_a_cell_that_cannot_occur_is_shifted_by_nothing(tiny: MakeConfig, tmp_path: Path) -> None:
    draw_set(tmp_path / "few", people=3, seed=1)  # of three genders and ages at most, not of all six
    few = {"data.root": str(tmp_path / "few"), "data.val_fraction": 0.0}
    space = tiny(few).space()
    gone = next(index for index in range(space.num_classes) if index not in DataModule(tiny(few)).samples.classes)
    cell = dict(zip(space.task_names, space.class_names[gone].split("/"), strict=True))
    config = tiny({**few, "joint.loss": "logit_adjusted", "labels.impossible": [cell]})
    shift = prior_shifts(config.objective(), DataModule(config).dataset.training_samples())[JOINT]
    possible = config.space().possible
    assert not possible[gone]
    assert shift[gone] == 0
    assert (shift[possible] != 0).all()


LATE = {
    "heads.age.loss": {"name": "soft_labels", "class_weights": "inverse_frequency", "deferred": 0.5},
    "heads.mask.loss": "sum",
    "joint": {"loss": "soft_macro_f1"},
    "augment.mix.mixup_prob": 0.5,
}


def test_a_run_stopped_before_weights_count_goes_on_to_the_same_end(tiny: MakeConfig, tmp_path: Path) -> None:
    config = tiny({**LATE, "training.epochs": 3})
    whole = run(config, tmp_path / "whole")

    class StoppedError(Exception):
        pass

    def stop(record: dict[str, Any]) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        run(config, tmp_path / "stopped", on_epoch=stop)
    again = run(config, tmp_path / "stopped", resume=True)
    losses = [[row.train.tasks for row in result.history] for result in (whole, again)]
    assert losses[0] == losses[1]
    weights = [load_checkpoint(result.folder.last)["network"] for result in (whole, again)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert whole.report is not None
    number = whole.report.tasks["age"].number
    assert number is not None
    assert number.mae_ci is not None
    assert 0 < number.mae_ci[0] <= number.mae <= number.mae_ci[1] < 60
    assert set(json.loads((tmp_path / "whole/data.json").read_text())["centres"]) == {"age"}
    assert whole.report.tasks["mask"].number is None


def test_one_head_over_all_classes_learns_from_samples_of_which_the_class_is_not_known(tiny: MakeConfig) -> None:
    config = tiny({"model.sharing.name": "flat"})
    data = DataModule(config)
    samples = data.dataset.training_samples()
    assert not isinstance(build_losses(config.objective(), samples)["class"], MarginalLoss)
    labels = samples.labels.copy()
    labels[::2, 0] = labels[1::4, 2] = MISSING
    partial = replace(samples, labels=labels)
    loss = build_losses(config.objective(), partial)["class"]
    assert isinstance(loss, MarginalLoss)
    targets = Targets.of(partial, config.learned_space(), joint=False).labels[:, 0]
    assert (targets < 0).any()
    assert sorted({*targets[targets < 0]}) == loss.targets.tolist()
    for target, row in zip(targets[targets < 0], labels[targets < 0], strict=True):
        agreeing = loss.agreeing[loss.targets.tolist().index(target)].numpy()
        known = row != MISSING
        cells = samples.space.decode(np.flatnonzero(agreeing))
        assert (cells[:, known] == row[known]).all()
        assert len(cells) == np.prod(np.array(samples.space.sizes)[~known])
    counted = trained_labels(config.objective(), partial)["class"].counts.sum()
    assert counted == (targets >= 0).sum()
