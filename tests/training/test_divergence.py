from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from multitask.errors import DivergedError
from multitask.settings import validate
from multitask.training.divergence import DivergenceCheck
from multitask.training.loss_meter import LossMeter
from multitask.training.settings import TrainingSettings

CHECK = DivergenceCheck(validate(TrainingSettings, {"lr": 0.1}), torch.float32)


def test_a_loss_that_is_no_number_names_head_batch_and_what_helps() -> None:
    sums = LossMeter(("mask", "joint"), torch.device("cpu"))
    for mask, joint in ((1.0, 1.0), (1.0, math.inf)):
        losses = {"mask": torch.tensor(mask), "joint": torch.tensor(joint)}
        sums.add(losses["mask"] + losses["joint"], losses, torch.ones(2), 4)
    with pytest.raises(DivergedError, match=r"^joint: the loss is inf at batch 2 of epoch 3; lower training\.lr \(0"):
        CHECK.losses(sums, 3)


def test_weights_that_are_no_numbers_name_their_part() -> None:
    network = nn.ModuleDict({"backbone": nn.Linear(2, 2), "heads": nn.ModuleDict({"age": nn.Linear(2, 2)})})
    CHECK.weights(1, network, network)
    with torch.no_grad():
        network["heads"]["age"].bias[0] = math.nan  # type: ignore[index]
    with pytest.raises(DivergedError, match=r"^heads\.age: the weights are no numbers after epoch 2; lower"):
        CHECK.weights(2, nn.Linear(1, 1), network)


def test_in_half_precision_another_one_helps_first() -> None:
    check = DivergenceCheck(validate(TrainingSettings, {"precision": "fp16"}), torch.float16)
    line = r"^heads\.age: NaN after epoch 4; set training\.precision other than fp16, lower training\.lr"
    with pytest.raises(DivergedError, match=line), check.answers(4):
        raise DivergedError("heads.age: NaN")
