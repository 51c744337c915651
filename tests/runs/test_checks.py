"""What only data and network tell of a config."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from multitask.balancers import FixedSettings
from multitask.balancers.pcgrad import PCGradSettings
from multitask.errors import UserError
from multitask.labels import LabelSpace, Task
from multitask.model.backbone import Backbone
from multitask.model.heads import LinearSettings
from multitask.model.network import Network
from multitask.model.settings import BackboneSettings
from multitask.runs.checks import check_accumulate, check_balancer, check_smallest_batch
from multitask.settings import validate
from multitask.training.settings import TrainingSettings

SPACE = LabelSpace([Task("colour", ("red", "green")), Task("size", ("s", "l"))])
SETTINGS = BackboneSettings(name="resnet10t", weights="none", options={"channels": [8, 16, 16, 32]})


def network(size: tuple[int, int]) -> Network:
    torch.manual_seed(0)
    return Network(Backbone(SETTINGS, size), SPACE, dict.fromkeys(SPACE.task_names, LinearSettings()))


def batches(num_images: int, num_batches: int) -> Any:
    return SimpleNamespace(num_images=num_images, num_batches=num_batches)


def test_a_balancer_of_features_needs_some_that_are_trained() -> None:
    net = network((32, 32))
    check_balancer(PCGradSettings(), SETTINGS, net)
    net.backbone.frozen = True
    check_balancer(FixedSettings(), SETTINGS, net)
    with pytest.raises(UserError, match=r"^balancer: pcgrad needs features .* model\.backbone\.freeze is none"):
        check_balancer(PCGradSettings(), SETTINGS, net)


def test_a_step_has_no_more_batches_than_an_epoch() -> None:
    training = validate(TrainingSettings, {"accumulate": 3, "batch_size": 16})
    check_accumulate(training, 3)
    with pytest.raises(UserError, match=r"^training\.accumulate: .*\(2 of 16 images\), found 3"):
        check_accumulate(training, 2)


def test_an_image_alone_in_a_batch_needs_more_than_one_value_per_channel() -> None:
    small, large = network((32, 32)), network((64, 64))
    check_smallest_batch(large, "resnet10t", (64, 64), 2, batches(3, 2))
    check_smallest_batch(small, "resnet10t", (32, 32), 2, batches(4, 2))
    with pytest.raises(UserError, match=r"^training\.batch_size: 2 leaves one of 3 images alone .*resnet10t at 32 x"):
        check_smallest_batch(small, "resnet10t", (32, 32), 2, batches(3, 2))
    assert small.training
    assert not any(module._forward_pre_hooks for module in small.modules())
