from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from multitask.bakeoff import costs
from multitask.bakeoff.costs import _Answering, inference_speed, training_memory, training_speed
from multitask.config import Config
from multitask.errors import UserError
from multitask.runs.build import TrainingSetup, build_network
from multitask.runs.data_module import DataModule

Tiny = Callable[..., Config]
TWO = ("one", "two")


def setup(config: Config, reuse: Path) -> TrainingSetup:
    return TrainingSetup(config, DataModule(config, reuse))


class TestMemory:
    def test_is_the_same_twice_and_adds_up(self, tiny: Tiny, tmp_path: Path) -> None:
        one, two = training_memory(setup(tiny(), tmp_path)), training_memory(setup(tiny(), tmp_path))
        assert one == two
        parts = ("parameters", "gradients", "optimizer", "activations")
        assert one.total == sum(getattr(one, part) for part in parts)
        assert one.batch_size == 16

    def test_counts_every_weight_its_gradient_and_two_moments(self, tiny: Tiny, tmp_path: Path) -> None:
        config = tiny()
        found = training_memory(setup(config, tmp_path))
        network = build_network(config, torch.device("cpu"), pretrained=False)
        size = 4 * sum(weight.numel() for weight in network.parameters())
        assert found.parameters == found.gradients == size
        # AdamW: two moments a weight, and a step of 4 bytes for each tensor.
        assert found.optimizer == 2 * size + 4 * len(list(network.parameters()))

    def test_what_is_reckoned_for_a_large_batch_is_what_one_takes(self, tiny: Tiny, tmp_path: Path) -> None:
        config = tiny({"augment.strength": 0.0})
        whole = costs._one_batch(setup(config, tmp_path), 16)
        found = training_memory(setup(config, tmp_path))
        assert found.activations == pytest.approx(whole["activations"], rel=0.01)
        half = training_memory(setup(tiny({"augment.strength": 0.0, "training.batch_size": 8}), tmp_path))
        assert half.activations < 0.6 * found.activations

    def test_a_frozen_backbone_has_neither_gradients_nor_activations(
        self, tiny: Tiny, tmp_path: Path, weights: Path
    ) -> None:
        free = training_memory(setup(tiny({"model.backbone.weights": str(weights)}), tmp_path))
        frozen = training_memory(
            setup(tiny({"model.backbone": {"name": "test_resnet", "weights": str(weights), "freeze": "all"}}), tmp_path)
        )
        assert frozen.parameters == free.parameters
        assert frozen.gradients < 0.1 * free.gradients
        assert frozen.activations < 0.1 * free.activations

    @pytest.fixture
    def weights(self, tiny: Tiny, tmp_path: Path) -> Path:
        """A file of weights, so that the backbone may be frozen."""
        path = tmp_path / "weights.safetensors"
        state = build_network(tiny(), torch.device("cpu")).backbone.body.state_dict()
        save_file({name: value.contiguous() for name, value in state.items()}, path)
        return path

    def test_what_only_building_shows_is_said(self, tiny: Tiny, tmp_path: Path) -> None:
        config = tiny({"model.backbone.options": {"no_such_option": 1}})
        with pytest.raises(UserError, match="no_such_option"):
            training_memory(setup(config, tmp_path))


@pytest.mark.parametrize(
    "sampler",
    [{"name": "per_source", "weights": {"two": 3.0}}, {"name": "class_weighted"}, {"name": "per_group"}],
    ids=lambda sampler: str(sampler["name"]),
)
def test_a_sampler_that_needs_more_than_the_first_images(tiny: Tiny, tmp_path: Path, sampler: dict[str, Any]) -> None:
    root = tiny().data.root
    source = {"name": "several", "sources": {name: {"root": root, "source": {"name": "competition"}} for name in TWO}}
    made = setup(tiny({"data.root": "", "data.source": source, "data.sampler": sampler}), tmp_path)
    assert training_memory(made).batch_size == 16
    assert training_speed(made) > 0


def test_speeds_are_measured_and_leave_nothing_trained(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny()
    assert training_speed(setup(config, tmp_path)) > 0
    found = inference_speed({"a": setup(config, tmp_path), "b": setup(tiny({"model.sharing.name": "flat"}), tmp_path)})
    assert set(found) == {"a", "b"}
    assert all(rate > 0 for rate in found.values())


@pytest.mark.parametrize(("seconds", "num"), [(0.5, 3), (2.0, 1)])
def test_a_slow_batch_is_enough_to_measure_by(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, num: int
) -> None:
    asked: list[int] = []

    def answer(self: object, num_batches: int) -> float:
        asked.append(num_batches)
        return seconds * num_batches

    monkeypatch.setattr(_Answering, "seconds", answer)
    made = setup(tiny({"training.batch_size": 2}), tmp_path)
    assert inference_speed({"a": made, "b": made}) == {"a": 2 / seconds, "b": 2 / seconds}
    assert asked == [1, 1, *[num] * 10]
