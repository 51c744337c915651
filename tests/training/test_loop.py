from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multitask.balancers.fixed import FixedBalancer
from multitask.data.augment_settings import MixSettings
from multitask.data.batch import Batch
from multitask.data.images import Preprocessing
from multitask.errors import DivergedError, UserError
from multitask.labels import MISSING, LabelSpace, Task
from multitask.model.backbone import Backbone
from multitask.model.heads import LinearSettings
from multitask.model.network import ByTask, Network
from multitask.model.settings import BackboneSettings
from multitask.progress import EpochRecord, LabelScores, Progress, ValidationScores
from multitask.settings import validate
from multitask.training.checkpoint import load_checkpoint
from multitask.training.loop import Trainer
from multitask.training.optimizer_step import OptimizerStep
from multitask.training.settings import TrainingSettings

SIZE = (32, 32)
SPACE = LabelSpace([Task("colour", ("red", "green", "blue")), Task("type", ("a", "b"))])


class FixedBatches:
    """The same batches in every epoch."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        generator = torch.Generator().manual_seed(11)
        total = sum(sizes)
        images = torch.randint(0, 256, (total, *SIZE, 3), generator=generator, dtype=torch.uint8)
        columns = [torch.randint(0, size, (total,), generator=generator) for size in SPACE.sizes]
        parts = images.split(sizes), torch.stack(columns, dim=1).split(sizes), torch.ones(total).split(sizes)
        self.batches = [Batch(*part, torch.full(part[1].shape, math.nan)) for part in zip(*parts, strict=True)]
        self.num_batches = len(sizes)
        self.num_images = total

    def epoch(self, epoch: int) -> Iterator[Batch]:
        return iter(self.batches)

    def labelled_weights(self, epoch: int) -> NDArray[np.float64]:
        labelled = [batch.weights @ (batch.labels != MISSING).float() for batch in self.batches]
        return torch.stack(labelled).double().numpy()


class CrossEntropy(nn.Module):
    """The mean cross entropy; NaN where it is told to be."""

    def __init__(self, wrong_at: int | None = None) -> None:
        super().__init__()
        self.calls = 0
        self.wrong_at = wrong_at

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        pass

    def forward(self, log_probs: Tensor, labels: Tensor, weights: Tensor, numbers: Tensor) -> Tensor:
        self.calls += 1
        loss = nn.functional.nll_loss(log_probs, labels)
        return loss * math.nan if self.calls == self.wrong_at else loss


class Scripted:
    """Scores as they were written down, one after the other."""

    def __init__(self, *scores: float, key: str = "macro_f1") -> None:
        self.scores = list(scores)
        self.key = key

    def __call__(self, network: nn.Module) -> ValidationScores:
        assert not network.training
        return ValidationScores(joint=LabelScores(**{self.key: self.scores.pop(0)}))


def build(
    sizes: tuple[int, ...] = (8, 8), backbone: str = "test_vit", wrong_at: int | None = None, **changes: Any
) -> Any:
    torch.manual_seed(0)
    options = {"depth": 1} if backbone == "test_vit" else {}
    body = Backbone(BackboneSettings(name=backbone, weights="none", options=options), SIZE)
    network = Network(body, SPACE, dict.fromkeys(SPACE.task_names, LinearSettings()))
    losses = ByTask({"colour": CrossEntropy(), "type": CrossEntropy(wrong_at)})
    balancer = FixedBalancer({"colour": 1.0, "type": 0.5})
    settings = validate(
        TrainingSettings,
        {
            "epochs": 3,
            "lr": 0.1,
            "optimizer": {"name": "momentum", "weight_decay": 0.0, "options": {"momentum": 0.0}},
            "schedule": {"name": "step", "factor": 1.0, "warmup_epochs": 0},
            "clip_norm": None,
            **changes,
        },
    )
    batches = FixedBatches(sizes)
    trainer = Trainer(network, losses, balancer, settings, Preprocessing(SIZE), MixSettings(), 7, len(sizes))
    return trainer, batches


def weights(trainer: Trainer) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in trainer.network.state_dict().items()}


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float) -> None:
    for key in one:
        assert torch.allclose(one[key], other[key], atol=tolerance), key


# --- the step ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accumulate", "parts", "whole"),
    [(2, (8, 8), (16,)), (4, (4, 4, 4, 4), (16,)), (2, (8, 8, 8), (16, 8)), (3, (6, 6), (12,))],
)
def test_accumulated_batches_make_the_step_of_one_large_batch(
    accumulate: int, parts: tuple[int, ...], whole: tuple[int, ...]
) -> None:
    small, small_batches = build(parts, accumulate=accumulate)
    large, large_batches = build(whole)
    before = weights(small)
    small.train_epoch(1, small_batches, Progress())
    large.train_epoch(1, large_batches, Progress())
    assert_close(weights(small), weights(large), 1e-5)
    moved = max(float((before[key] - value).abs().max()) for key, value in weights(small).items())
    assert moved > 1e-3


def test_step_is_that_of_the_weighted_sum_of_the_losses() -> None:
    trainer, batches = build((8,))
    plain = deepcopy(trainer.network).train()
    record = trainer.train_epoch(1, batches, Progress())
    batch = batches.batches[0]
    logits = plain(Preprocessing(SIZE).normalise(batch.images))
    losses = [
        nn.functional.cross_entropy(logits[name], batch.labels[:, i]) for i, name in enumerate(("colour", "type"))
    ]
    (losses[0] + 0.5 * losses[1]).backward()
    for (key, parameter), after in zip(plain.named_parameters(), trainer.network.parameters(), strict=True):
        assert torch.allclose(parameter - 0.1 * parameter.grad, after, atol=1e-6), key
    assert record.train.loss == pytest.approx(losses[0].item() + 0.5 * losses[1].item())
    assert record.train.tasks["type"].loss == pytest.approx(losses[1].item())
    assert record.lr == pytest.approx(0.1)


def test_epochs_loss_is_the_mean_over_images_not_over_batches() -> None:
    trainer, batches = build((12, 4), lr=1e-12)
    found = trainer.train_epoch(1, batches, Progress()).train.loss
    whole, whole_batches = build((16,), lr=1e-12)
    assert found == pytest.approx(whole.train_epoch(1, whole_batches, Progress()).train.loss, rel=1e-5)


@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_gradient_is_scaled_down_to_the_norm_and_never_up(clip: float) -> None:
    clipped, batches = build((8,), clip_norm=clip)
    free, _ = build((8,))
    before = weights(clipped)
    for trainer in (clipped, free):
        trainer.train_epoch(1, batches, Progress())

    def moved(trainer: Trainer) -> float:
        return math.sqrt(sum(float((before[k] - v).square().sum()) for k, v in weights(trainer).items()))

    assert moved(free) > 0.1 * 0.02
    assert moved(clipped) == pytest.approx(min(moved(free), 0.1 * clip), rel=1e-3)


def test_average_follows_the_weights_update_by_update(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, batches = build((8, 8, 8), accumulate=2, ema={"decay": 0.9, "warmup": False})
    expected = weights(trainer)
    real = OptimizerStep.__call__

    def step(self: OptimizerStep, update: int) -> None:
        real(self, update)
        for key, value in trainer.network.state_dict().items():
            # The first update forgets the random beginning.
            expected[key] = value.clone() if update == 1 else 0.9 * expected[key] + 0.1 * value

    monkeypatch.setattr(OptimizerStep, "__call__", step)
    trainer.train_epoch(1, batches, Progress())
    assert_close(dict(trainer.evaluated.state_dict()), expected, 1e-6)
    assert not torch.equal(
        trainer.evaluated.state_dict()["heads.colour.1.weight"], trainer.network.heads["colour"][1].weight
    )


def test_average_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    trainer, batches = build(ema={"decay": 0.5})
    seen = []

    def validate_(network: nn.Module) -> dict[str, Any]:
        seen.append(network)
        return {"joint": {"macro_f1": 0.5}}

    trainer.fit(batches, validate_, tmp_path)
    assert trainer.ema is not None
    assert all(network is trainer.ema.module for network in seen)
    trainer, batches = build(ema={"decay": 0.5}, epochs=1)
    trainer.fit(batches, validate_, tmp_path)
    kept = load_checkpoint(tmp_path / "best.safetensors")["network"]
    assert_close(kept, dict(trainer.ema.module.state_dict()), 0.0)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_too(precision: str) -> None:
    trainer, batches = build(precision=precision, lr=0.02)
    first = trainer.train_epoch(1, batches, Progress()).train.loss
    for epoch in (2, 3):
        last = trainer.train_epoch(epoch, batches, Progress()).train.loss
    assert last < first
    assert all(value.dtype == torch.float32 for value in trainer.network.parameters())


# --- the best and the end ---------------------------------------------------------------------------------------


def run_scripted(tmp_path: Path, scores: tuple[float, ...], **changes: Any) -> list[EpochRecord]:
    trainer, batches = build(epochs=len(scores), **changes)
    key = changes.get("monitor", "joint.macro_f1").split(".")[1]
    trainer.fit(batches, Scripted(*scores, key=key), tmp_path)
    history: list[EpochRecord] = trainer.history
    return history


@pytest.mark.parametrize(
    ("monitor", "scores", "best"),
    [
        ("joint.macro_f1", (0.2, 0.5, 0.4, 0.5, 0.6), [1, 2, 5]),
        ("joint.loss", (2.0, 1.0, 1.5, 1.0, 0.5), [1, 2, 5]),
        ("joint.accuracy", (0.9, 0.5, 0.4, 0.3, 0.2), [1]),
    ],
)
def test_best_is_the_first_of_the_best_scores_and_losses_are_minimised(
    monitor: str, scores: tuple[float, ...], best: list[int], tmp_path: Path
) -> None:
    history = run_scripted(tmp_path, scores, monitor=monitor)
    assert [row.epoch for row in history if row.best] == best
    assert load_checkpoint(tmp_path / "best.safetensors")["epoch"] == best[-1]


def test_score_that_is_no_number_does_not_stay_the_best(tmp_path: Path) -> None:
    history = run_scripted(tmp_path, (math.nan, 0.1, math.nan, 0.2))
    assert [row.epoch for row in history if row.best] == [2, 4]


def test_the_first_epoch_is_kept_where_no_score_is_known_and_is_not_the_best(tmp_path: Path) -> None:
    history = run_scripted(tmp_path, (math.nan, math.nan), keep={"name": "best"})
    assert [(row.best, row.is_kept) for row in history] == [(False, True), (False, False)]
    assert load_checkpoint(tmp_path / "best.safetensors")["epoch"] == 1


@pytest.mark.parametrize(
    ("patience", "scores", "epochs"),
    [
        (1, (0.5, 0.4, 0.9), 2),
        (2, (0.5, 0.4, 0.6, 0.5, 0.5, 0.9), 5),
        (3, (0.1, 0.2, 0.3), 3),
        (None, (0.5, 0.1, 0.1), 3),
    ],
)
def test_patience_ends_the_training(
    patience: int | None, scores: tuple[float, ...], epochs: int, tmp_path: Path
) -> None:
    assert len(run_scripted(tmp_path, scores, patience=patience)) == epochs


def test_run_out_of_patience_does_not_go_on_when_resumed(tmp_path: Path) -> None:
    trainer, batches = build(epochs=5, patience=1)
    trainer.fit(batches, Scripted(0.5, 0.4), tmp_path)
    again, _ = build(epochs=5, patience=1)
    again.resume(tmp_path / "last.safetensors")
    again.fit(batches, Scripted(), tmp_path)
    assert len(again.history) == 2


def test_without_validation_the_last_epoch_is_kept(tmp_path: Path) -> None:
    trainer, batches = build()
    trainer.fit(batches, None, tmp_path)
    assert [row.val for row in trainer.history] == [None] * 3
    kept = load_checkpoint(tmp_path / "best.safetensors")
    assert kept["epoch"] == 3
    assert_close(kept["network"], weights(trainer), 0.0)


@pytest.mark.parametrize(
    ("wrong_at", "batch", "epoch", "finished"), [(1, 1, 1, 0), (2, 2, 1, 0), (5, 1, 3, 2), (6, 2, 3, 2)]
)
def test_loss_that_is_no_number_names_head_and_batch_and_keeps_the_last_good_epoch(
    wrong_at: int, batch: int, epoch: int, finished: int, tmp_path: Path
) -> None:
    trainer, batches = build(wrong_at=wrong_at)
    with pytest.raises(DivergedError) as caught:
        trainer.fit(batches, None, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"heads.type: the loss is nan at batch {batch} of epoch {epoch}; ")
    assert "\n" not in message
    if not finished:
        assert not list(tmp_path.iterdir())
        return
    reference, _ = build(epochs=finished)
    (tmp_path / "reference").mkdir()
    reference.fit(batches, None, tmp_path / "reference")
    for name in ("last", "best"):
        kept = load_checkpoint(tmp_path / f"{name}.safetensors")
        assert_close(kept["network"], weights(reference), 0.0)
    assert len(load_checkpoint(tmp_path / "last.safetensors")["history"]) == finished


def test_diverging_weights_are_noticed(tmp_path: Path) -> None:
    trainer, batches = build(lr=1e6, epochs=2)
    with pytest.raises(
        DivergedError, match=r"^heads\.(colour|type): the loss is (nan|inf) at batch 1 of epoch 2; lower"
    ):
        trainer.fit(batches, None, tmp_path)


def test_what_on_epoch_raises_ends_the_training_with_the_epoch_safe(tmp_path: Path) -> None:
    trainer, batches = build()

    def on_epoch(record: EpochRecord) -> None:
        assert load_checkpoint(tmp_path / "last.safetensors")["history"][-1]["epoch"] == record.epoch
        if record.epoch == 2:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        trainer.fit(batches, None, tmp_path, on_epoch=on_epoch)
    assert len(load_checkpoint(tmp_path / "last.safetensors")["history"]) == 2


def test_progress_hears_of_every_batch_and_epoch(tmp_path: Path) -> None:
    heard: list[tuple[Any, ...]] = []

    class Listening(Progress):
        def batch(self, done: int, num_images: int, losses: Any) -> None:
            heard.append(("batch", done, num_images, sorted(losses())))

        def epoch(self, record: Any) -> None:
            heard.append(("epoch", record.epoch))

    trainer, batches = build((8, 4), epochs=2)
    trainer.fit(batches, None, tmp_path, progress=Listening())
    one = [("batch", 1, 8, ["colour", "type"]), ("batch", 2, 12, ["colour", "type"])]
    assert heard == [*one, ("epoch", 1), *one, ("epoch", 2)]


# --- state ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"ema": {}}, {"precision": "fp16"}, {"optimizer": {"name": "adamw"}}])
def test_state_goes_round_and_training_goes_on_the_same(changes: dict[str, Any], tmp_path: Path) -> None:
    one, batches = build((8, 8), "test_resnet", **changes)
    one.fit(batches, None, tmp_path)
    half, _ = build((8, 8), "test_resnet", **changes)

    def stop(record: EpochRecord) -> None:
        if record.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half.fit(batches, None, tmp_path, on_epoch=stop)
    rest, _ = build((8, 8), "test_resnet", **changes)
    rest.resume(tmp_path / "last.safetensors")
    rest.fit(batches, None, tmp_path)
    assert_close(weights(one), weights(rest), 0.0)
    assert_close(dict(one.evaluated.state_dict()), dict(rest.evaluated.state_dict()), 0.0)


@pytest.mark.parametrize(
    ("other", "changes"),
    [
        ("test_resnet", {}),
        ("test_vit", {"ema": {}}),
        ("test_vit", {"optimizer": {"name": "adamw", "layer_decay": 0.5}}),
    ],
)
def test_checkpoint_of_another_training_is_refused(other: str, changes: dict[str, Any], tmp_path: Path) -> None:
    trainer, batches = build(epochs=1)
    trainer.fit(batches, None, tmp_path)
    different, _ = build((8, 8), other, **changes)
    with pytest.raises(UserError, match=r"last\.safetensors: does not belong to this config: ") as caught:
        different.resume(tmp_path / "last.safetensors")
    assert "\n" not in str(caught.value)


# --- which weights are kept -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, "last"),
        ({"patience": 2}, "best"),
        ({"monitor": "joint.loss"}, "best"),
        ({"keep": {"name": "mean"}}, "mean"),
    ],
)
def test_the_best_epoch_is_kept_where_a_score_was_asked_for(changes: dict[str, Any], rule: str) -> None:
    settings = TrainingSettings(**changes)
    assert settings.keep_rule.name == rule
    assert settings.monitors is (rule == "best")


def test_the_last_epoch_is_kept_and_patience_still_watches_the_score(tmp_path: Path) -> None:
    history = run_scripted(tmp_path, (0.5, 0.4, 0.3, 0.9), keep={"name": "last"}, patience=2)
    assert [row.best for row in history] == [True, False, False]
    assert load_checkpoint(tmp_path / "best.safetensors")["epoch"] == 3


def test_the_lower_bound_decides_in_the_scores_place(tmp_path: Path) -> None:
    trainer, batches = build(epochs=3, keep={"name": "lower_bound"})
    bounds = iter((0.2, 0.4, 0.3))
    trainer.fit(batches, lambda _: {"joint": {"macro_f1": 0.5}, "bound": next(bounds)}, tmp_path)
    assert load_checkpoint(tmp_path / "best.safetensors")["epoch"] == 2


@pytest.mark.parametrize("ema", [None, {"decay": 0.5}])
def test_the_mean_of_the_last_epochs_is_validated_and_kept(ema: dict[str, float] | None, tmp_path: Path) -> None:
    trainer, batches = build(epochs=3, keep={"name": "mean", "epochs": 2}, ema=ema)
    after: list[dict[str, torch.Tensor]] = []
    validated: list[dict[str, torch.Tensor]] = []

    def validate_(network: nn.Module) -> dict[str, Any]:
        source = trainer.ema.module if trainer.ema else trainer.network
        for states, module in ((after, source), (validated, network)):
            states.append({name: value.clone() for name, value in module.state_dict().items()})
        return {"joint": {"macro_f1": 0.5}}

    trainer.fit(batches, validate_, tmp_path)
    mean = {
        name: (after[1][name].double() + value.double()).div(2).to(value.dtype) if value.is_floating_point() else value
        for name, value in after[2].items()
    }
    assert_close(validated[2], mean, 0.0)
    assert_close(load_checkpoint(tmp_path / "best.safetensors")["network"], mean, 0.0)
