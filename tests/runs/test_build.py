"""Networks and trainers of a config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from multitask.config import Config
from multitask.errors import UserError
from multitask.progress import Progress
from multitask.runs.build import TrainingSetup, build_network, load_weights
from multitask.runs.data_module import DataModule
from multitask.training.checkpoint import save_checkpoint

MakeConfig = Callable[..., Config]
CPU = torch.device("cpu")


def test_a_setup_gives_the_same_network_each_time_and_a_trainer_for_it(tiny: MakeConfig) -> None:
    config = tiny({"device": "cpu"})
    setup = TrainingSetup(config, DataModule(config))
    one, other = setup.network(), setup.network()
    assert one is not other
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    batches = setup.data.batches("train", Progress(), setup.device, train=True)
    trainer = setup.trainer(batches.num_batches, one)
    assert trainer.network is one
    trainer.train_epoch(1, batches, Progress())
    moved = [not torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items()]
    assert any(moved)


def test_weights_of_another_network_are_refused(tiny: MakeConfig, tmp_path: Path) -> None:
    config = tiny()
    network = build_network(config, CPU, pretrained=False)
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, {"epoch": 1, "network": network.state_dict()})
    load_weights(build_network(tiny({"seed": 9}), CPU, pretrained=False), path)
    with pytest.raises(UserError, match=r"best\.safetensors: does not fit the run's network: "):
        load_weights(build_network(tiny({"model.sharing": "flat"}), CPU, pretrained=False), path)
