"""Every balancer in the loop; and that looking at conflict changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multitask.balancers import BALANCERS
from multitask.balancers.base import Balancer, Step
from multitask.balancers.fixed import FixedBalancer
from multitask.data.augment_settings import MixSettings
from multitask.data.batch import Batch
from multitask.data.images import Preprocessing
from multitask.labels import MISSING, LabelSpace, Task
from multitask.losses import CrossEntropySettings
from multitask.losses.training_labels import training_labels
from multitask.model.backbone import Backbone
from multitask.model.heads import AttentionSettings, LinearSettings, NetSettings
from multitask.model.network import ByTask, Network
from multitask.model.settings import BackboneSettings
from multitask.progress import EpochRecord, Progress
from multitask.settings import validate
from multitask.training.gradient_conflict import Conflict
from multitask.training.loop import Trainer
from multitask.training.settings import TrainingSettings

SIZE = (32, 32)
SPACE = LabelSpace([Task("colour", ("red", "green", "blue")), Task("size", ("s", "l")), Task("type", ("a", "b"))])
ROWS = BALANCERS

every_balancer = pytest.mark.parametrize("name", ROWS)


class FixedBatches:
    """The same batches in every epoch; in the second no label of the last task is known."""

    def __init__(self, num: int = 3, size: int = 6) -> None:
        generator = torch.Generator().manual_seed(11)
        self.batches = []
        for number in range(num):
            images = torch.randint(0, 256, (size, *SIZE, 3), generator=generator, dtype=torch.uint8)
            columns = [torch.randint(0, classes, (size,), generator=generator) for classes in SPACE.sizes]
            labels = torch.stack(columns, dim=1)
            if number == 1:
                labels[:, -1] = -1
            self.batches.append(Batch(images, labels, torch.ones(size), torch.full(labels.shape, math.nan)))
        self.num_batches, self.num_images = num, num * size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        return iter(self.batches)

    def labelled_weights(self, epoch: int) -> NDArray[np.float64]:
        labelled = [batch.weights @ (batch.labels != MISSING).float() for batch in self.batches]
        return torch.stack(labelled).double().numpy()


def build(
    balancer: str | Balancer, backbone: str = "test_resnet", nets: Mapping[str, NetSettings] = {}, **changes: Any
) -> Trainer:
    torch.manual_seed(0)
    body = Backbone(BackboneSettings(name=backbone, weights="none", drop_path=0.2), SIZE)
    network = Network(body, SPACE, {**dict.fromkeys(SPACE.task_names, LinearSettings()), **nets})
    losses = {}
    for column, task in enumerate(SPACE.tasks):
        labels = torch.cat([batch.labels[:, column] for batch in FixedBatches().batches]).numpy()
        losses[task.name] = CrossEntropySettings().build(training_labels(task, labels, labels * math.nan))
    if isinstance(balancer, str):
        balancer = ROWS[balancer]().build(dict.fromkeys(SPACE.task_names, 1.0))  # type: ignore[attr-defined]
    settings = validate(TrainingSettings, {"epochs": 4, "lr": 0.01, "accumulate": 2, **changes})
    return Trainer(network, ByTask(losses), balancer, settings, Preprocessing(SIZE), MixSettings(), 7, 3)


def everything(trainer: Trainer) -> dict[str, torch.Tensor]:
    state = {**trainer.network.state_dict(), **trainer.balancer.state_dict()}
    return {key: value.clone() for key, value in state.items()}


def assert_same(one: Trainer, other: Trainer) -> None:
    found, wanted = everything(one), everything(other)
    assert found.keys() == wanted.keys()
    assert not [key for key, value in found.items() if not torch.allclose(value, wanted[key], 0, 0, equal_nan=True)]


def timeless(history: list[EpochRecord]) -> list[dict[str, Any]]:
    return [{key: getattr(row, key) for key in ("epoch", "lr", "train")} for row in history]


class StopError(Exception):
    pass


@every_balancer
def test_resumed_training_is_that_which_was_never_stopped(name: str, tmp_path: Path) -> None:
    whole, half, rest = build(name), build(name), build(name)
    for folder in ("whole", "half"):
        (tmp_path / folder).mkdir()
    whole.fit(FixedBatches(), None, tmp_path / "whole")  # type: ignore[arg-type]

    def stop(record: EpochRecord) -> None:
        if record.epoch == 3:
            raise StopError

    with pytest.raises(StopError):
        half.fit(FixedBatches(), None, tmp_path / "half", on_epoch=stop)  # type: ignore[arg-type]
    rest.resume(tmp_path / "half" / "last.safetensors")
    rest.fit(FixedBatches(), None, tmp_path / "half")  # type: ignore[arg-type]
    assert_same(rest, whole)
    assert timeless(rest.history) == timeless(whole.history)
    assert all(math.isfinite(weight) for row in whole.history for weight in row.train.weights.values())


@every_balancer
def test_looking_at_conflict_changes_no_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, blind = build(name), build(name)
    record = looked.train_epoch(1, FixedBatches(), Progress())  # type: ignore[arg-type]
    monkeypatch.setattr(Conflict, "look", lambda *args: None)
    other = blind.train_epoch(1, FixedBatches(), Progress())  # type: ignore[arg-type]
    assert_same(looked, blind)
    assert record.train.loss == other.train.loss
    assert list(record.train.conflict) == ["colour", "size"]
    assert all(-1 <= cosine <= 1 for row in record.train.conflict.values() for cosine in row.values())
    assert other.train.conflict is None


NO_LAYER = [name for name, row in ROWS.items() if not row.needs_layer]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NO_LAYER)
def test_training_lowers_the_losses_where_a_head_reads_the_map(name: str) -> None:
    trainer = build(name, nets={"size": AttentionSettings()}, epochs=12, accumulate=1)
    records = [trainer.train_epoch(epoch, FixedBatches(), Progress()).train for epoch in range(1, 13)]  # type: ignore[arg-type]
    first, last = (sum(row.loss for row in record.tasks.values()) for record in (records[0], records[-1]))
    assert last < 0.9 * first
    assert list(records[0].conflict) == ["colour", "size"]


class Replaying(FixedBalancer):
    """Compares each batch's losses with those of its replay, before and after the step."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(SPACE.task_names, 1.0))
        self.losses: dict[str, float] = {}
        self.step: Step | None = None
        self.fell: list[float] = []

    def _replayed(self) -> dict[str, float]:
        assert self.step is not None
        assert self.step.replay is not None
        found = self.step.replay()
        assert not any(loss.requires_grad for loss in found.values())
        return {name: float(loss) for name, loss in found.items()}

    def backward(self, losses: Mapping[str, Tensor], step: Step) -> Tensor:
        self.step = step
        self.losses = {name: float(loss.detach()) for name, loss in losses.items()}
        assert self._replayed() == self.losses
        return super().backward(losses, step)

    def after_step(self) -> None:
        after = self._replayed()
        assert after != self.losses
        self.fell.append(sum(self.losses.values()) - sum(after.values()))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_can_be_replayed_with_the_same_draws_and_without_a_trace(precision: str) -> None:
    replaying = Replaying()
    trainer, other = (build(one, precision=precision, accumulate=1) for one in (replaying, "fixed"))
    for one in (trainer, other):
        one.train_epoch(1, FixedBatches(), Progress())  # type: ignore[arg-type]
    assert len(replaying.fell) == 3
    assert max(replaying.fell) > 0
    assert_same(trainer, other)


@every_balancer
def test_batch_norms_count_each_batch_once(name: str) -> None:
    trainer = build(name)
    trainer.train_epoch(1, FixedBatches(), Progress())  # type: ignore[arg-type]
    counts = {int(value) for key, value in trainer.network.state_dict().items() if key.endswith("num_batches_tracked")}
    assert counts == {3}


@every_balancer
def test_training_lowers_the_losses(name: str) -> None:
    trainer = build(name, epochs=12, accumulate=1, schedule={"name": "step", "factor": 1.0, "warmup_epochs": 0})
    first = trainer.train_epoch(1, FixedBatches(), Progress()).train.tasks  # type: ignore[arg-type]
    for epoch in range(2, 13):
        last = trainer.train_epoch(epoch, FixedBatches(), Progress()).train.tasks  # type: ignore[arg-type]
    assert sum(row.loss for row in last.values()) < 0.9 * sum(row.loss for row in first.values())


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if name in ("fixed", "pcgrad", "upgrad", "mgda")])
def test_accumulated_batches_add_up(name: str) -> None:
    """Of the same batch twice, which is combined the same way each time, it is the step of the batch once."""
    found = []
    for accumulate in (1, 2):
        trainer = build(
            name,
            "test_vit",
            accumulate=accumulate,
            optimizer={"name": "momentum", "weight_decay": 0.0, "options": {"momentum": 0.0}},
            clip_norm=None,
            schedule={"name": "step", "factor": 1.0, "warmup_epochs": 0},
        )
        trainer.network.backbone.eval()  # type: ignore[union-attr,operator]  (no draws, that both be the same)
        batches = FixedBatches()
        batches.batches = batches.batches[:1] * accumulate
        batches.num_batches = accumulate
        for module in trainer.network.modules():
            if isinstance(module, nn.Module) and hasattr(module, "drop_prob"):
                module.drop_prob = 0.0
        torch.manual_seed(0)
        trainer.train_epoch(1, batches, Progress())  # type: ignore[arg-type]
        found.append(everything(trainer))
    one, other = found
    assert all(torch.allclose(one[key], other[key], atol=1e-5) for key in one)


@pytest.mark.parametrize("name", ["fixed", "equal", "uncertainty", "dynamic_average"])
def test_accumulated_batches_are_one_large_batch_wherever_the_labels_are(name: str) -> None:
    """Batches of other sizes, weights and numbers of labels: one has none of the last task, one a single one."""
    sizes = (5, 2, 4)
    generator = torch.Generator().manual_seed(3)
    weights = torch.rand(sum(sizes), generator=generator) * 3
    weights[1] = 0.0
    labels = torch.stack([torch.randint(0, k, (sum(sizes),), generator=generator) for k in SPACE.sizes], dim=1)
    labels[:5, 0] = labels[[6, 8, 9, 10], 1] = labels[5:, 2] = labels[:4, 2] = MISSING
    images = torch.randint(0, 256, (sum(sizes), *SIZE, 3), generator=generator, dtype=torch.uint8)
    found = []
    for split in (sizes, (sum(sizes),)):
        trainer = build(
            name,
            "test_vit",
            accumulate=3,
            optimizer={"name": "momentum", "weight_decay": 0.0, "options": {"momentum": 0.0}},
            clip_norm=None,
            schedule={"name": "step", "factor": 1.0, "warmup_epochs": 0},
        )
        trainer.network.backbone.eval()  # type: ignore[union-attr,operator]  (no draws, that both be the same)
        for module in trainer.network.modules():
            if hasattr(module, "drop_prob"):
                module.drop_prob = 0.0
        batches = FixedBatches()
        parts = images.split(split), labels.split(split), weights.split(split)
        batches.batches = [Batch(*part, torch.full(part[1].shape, math.nan)) for part in zip(*parts, strict=True)]
        batches.num_batches = len(split)
        record = trainer.train_epoch(1, batches, Progress()).train  # type: ignore[arg-type]
        found.append((everything(trainer), record))
    (one, small), (other, large) = found
    names = [key for key in one if key not in ("sums", "counts")]  # of batches, of which there are more
    assert not [key for key in names if not torch.allclose(one[key], other[key], atol=2e-6, equal_nan=True)]
    # The weights of uncertainty are those after the step, which is within the epoch here.
    assert small.loss == pytest.approx(large.loss, rel=2e-3 if name == "uncertainty" else 1e-5)
    for task, row in small.tasks.items():
        assert row.loss == pytest.approx(large.tasks[task].loss, rel=1e-5)


def test_frozen_backbone_shares_nothing_to_look_at() -> None:
    trainer = build("fixed")
    for parameter in trainer.network.backbone.parameters():  # type: ignore[union-attr]
        parameter.requires_grad = False
    trainer.network.backbone.frozen = True  # type: ignore[union-attr]
    assert trainer.train_epoch(1, FixedBatches(), Progress()).train.conflict is None  # type: ignore[arg-type]
