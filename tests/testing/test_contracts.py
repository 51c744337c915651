"""The contract suites over rows of one's own: a right one passes, a wrong one is told in words.

That our own rows keep them is tested beside each room, as in ``tests/losses/test_contract.py``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from pydantic import ConfigDict
from torch import Tensor, nn

from multitask.balancers import BalancerSettings
from multitask.balancers.fixed import FixedBalancer
from multitask.config import Config
from multitask.data.crop import BoxSettings
from multitask.data.samplers import GroupsBalancedSettings, SamplerSettings
from multitask.data.samples import Samples
from multitask.data.sources import CompetitionSettings
from multitask.evaluation.decode import (
    DECODE_RULES,
    FITTED_RULES,
    DecodeRule,
    DecodeSettings,
    IndependentSettings,
    LabelledOutputs,
    ModelOutputs,
    Priors,
)
from multitask.labels import LabelSpace, Task
from multitask.losses.classwise import PlainSettings
from multitask.losses.reduction import weighted_mean
from multitask.losses.task_losses import TaskLoss
from multitask.model.encoder import Encoded, Widths
from multitask.model.heads import NetSettings
from multitask.model.settings import LowRankSettings
from multitask.recipe.lab import Lab
from multitask.recipe.stage import StagePlan
from multitask.recipe.stages.baseline import BaselineSettings
from multitask.testing import (
    check_balancer,
    check_crop,
    check_decode_rule,
    check_head,
    check_joint_term,
    check_loss,
    check_sampler,
    check_source,
    check_stage,
    temporary_extensions,
)

SPACE = LabelSpace(
    [
        Task("mask", ("wear", "incorrect", "not_worn")),
        Task("gender", ("male", "female")),
        Task("age", ("<30", "30-60", ">=60"), "binned", (30.0, 60.0)),
    ]
)


# --- losses -----------------------------------------------------------------------------------------------------------


class BrierSettings(PlainSettings):
    name: Literal["brier"] = "brier"

    def per_class(self, log_probs: Tensor) -> Tensor:
        probs = log_probs.exp()
        return (probs**2).sum(dim=1, keepdim=True) - 2 * probs + 1


class BackwardsSettings(BrierSettings):
    def per_class(self, log_probs: Tensor) -> Tensor:
        return 2 + log_probs.exp()


class _Forgetful(TaskLoss):
    """Counts a missing label as the last class."""

    def forward(self, log_probs: Tensor, labels: Tensor, sample_weights: Tensor, numbers: Tensor) -> Tensor:
        return weighted_mean(-log_probs[torch.arange(len(labels)), labels], sample_weights)


class ForgetfulSettings(BrierSettings):
    def build(self, data: Any) -> TaskLoss:
        return _Forgetful()


def test_a_loss() -> None:
    check_loss(BrierSettings(smoothing=0.1))
    with pytest.raises(AssertionError, match=r"^BackwardsSettings must never rise with the label's logit, as at \["):
        check_loss(BackwardsSettings())
    with pytest.raises(AssertionError, match=r"^ForgetfulSettings must have no gradient at a sample whose label is"):
        check_loss(ForgetfulSettings())


# --- heads ------------------------------------------------------------------------------------------------------------


class _Scaled(nn.Module):
    def __init__(self, widths: Widths, num_classes: int, scale: float, dropout: float) -> None:
        super().__init__()
        self.layer, self.scale, self.drop = nn.Linear(widths.pooled, num_classes), scale, nn.Dropout(dropout)

    def forward(self, encoded: Encoded) -> Tensor:
        return (self.scale * self.layer(self.drop(encoded.pooled)).float()).log_softmax(dim=1)


class ScaledSettings(NetSettings):
    name: Literal["scaled"] = "scaled"
    scale: float = 0.5
    normalised: ClassVar[bool] = True

    def build(self, widths: Widths, task: Task) -> nn.Module:
        return _Scaled(widths, task.num_classes, self.scale, self.dropout)


class LogitsSettings(ScaledSettings):
    """Gives logits, not log-probabilities."""

    def build(self, widths: Widths, task: Task) -> nn.Module:
        net = _Scaled(widths, task.num_classes, self.scale, self.dropout)
        net.forward = lambda encoded: net.layer(encoded.pooled)  # type: ignore[method-assign]
        return net


def test_a_head() -> None:
    check_head(ScaledSettings())
    with pytest.raises(AssertionError, match=r"^LogitsSettings must give probabilities that sum to 1 for 2 classes"):
        check_head(LogitsSettings())
    with pytest.raises(AssertionError, match=r"^ScaledSettings must begin "):
        check_head(ScaledSettings(scale=100.0))


# --- balancers --------------------------------------------------------------------------------------------------------


class HalvesSettings(BalancerSettings):
    name: Literal["halves"] = "halves"

    def build(self, weights: Mapping[str, float]) -> FixedBalancer:
        return FixedBalancer(dict.fromkeys(weights, 0.5))


class _Unscaled(FixedBalancer):
    def backward(self, losses: Mapping[str, Tensor], step: Any) -> Tensor:
        return super().backward(losses, replace(step, scaled=lambda scalar: scalar))


class UnscaledSettings(HalvesSettings):
    def build(self, weights: Mapping[str, float]) -> FixedBalancer:
        return _Unscaled(weights)


def test_a_balancer() -> None:
    check_balancer(HalvesSettings())
    with pytest.raises(AssertionError, match=r"^UnscaledSettings must give gradients that scale with the losses"):
        check_balancer(UnscaledSettings())


# --- decode rules -----------------------------------------------------------------------------------------------------


class FirstRule(DecodeRule):
    name: Literal["first"] = "first"

    def decode(self, outputs: ModelOutputs) -> Any:
        return IndependentSettings().unfitted().decode(outputs)


class FirstSettings(DecodeSettings):
    name: Literal["first"] = "first"

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        return FirstRule()

    def unfitted(self) -> DecodeRule:
        return FirstRule()


class ConstantRule(FirstRule):
    def decode(self, outputs: ModelOutputs) -> Any:
        return np.zeros(len(outputs), dtype=np.int64)


class NeedySettings(FirstSettings):
    """Says that auto may pick it, but has a key without a default."""

    strength: float

    def num_parameters(self, space: LabelSpace) -> int:
        return 1


class ConstantSettings(FirstSettings):
    def unfitted(self) -> DecodeRule:
        return ConstantRule()


def test_a_decode_rule() -> None:
    with temporary_extensions():
        DECODE_RULES["first"] = FirstSettings
        with pytest.raises(AssertionError, match=r"must become a row of FITTED_RULES .* by FITTED_RULES\['first'\] = "):
            check_decode_rule(FirstSettings())
        FITTED_RULES["first"] = FirstRule
        check_decode_rule(FirstSettings())
        with pytest.raises(AssertionError, match=r"^NeedySettings must have a default for each key, as auto compares"):
            check_decode_rule(NeedySettings(strength=1.0))
    with pytest.raises(AssertionError, match=r"^ConstantSettings must answer classes that can occur before it"):
        check_decode_rule(ConstantSettings())


# --- samplers, crops, joint terms -------------------------------------------------------------------------------------


class FirstHalfSettings(SamplerSettings):
    name: Literal["first_half"] = "first_half"

    def chances(self, samples: Samples) -> Any:
        chances = np.zeros(len(samples))
        chances[: len(samples) // 2] = 2 / len(samples)
        return chances


def test_a_sampler() -> None:
    check_sampler(GroupsBalancedSettings())
    with pytest.raises(AssertionError, match=r"^FirstHalfSettings must (give every sample a chance|serve)"):
        check_sampler(FirstHalfSettings())


class HalfBoxSettings(BoxSettings):
    """Says that it does not look at boxes."""

    boxed: ClassVar[bool] = False


def test_a_crop() -> None:
    check_crop(BoxSettings(margin=0.2))
    with pytest.raises(AssertionError, match=r"^HalfBoxSettings must say boxed as it is: True"):
        check_crop(HalfBoxSettings())


class GreedyStageSettings(BaselineSettings):
    """Plans more than is left."""

    def plan(self, lab: Lab, left_s: float) -> StagePlan:
        return replace(super().plan(lab, left_s), seconds=left_s + 1)


class LooseStageSettings(BaselineSettings):
    """Takes any key."""

    model_config = ConfigDict(extra="ignore")


def test_a_stage() -> None:
    base = Config.model_validate({"labels": {"tasks": {"hat": {"classes": ["on", "off"]}}}, "data": {"root": "images"}})
    check_stage(BaselineSettings(share=0.5), base)
    with pytest.raises(AssertionError, match=r"^GreedyStageSettings must be planned within the 60 s that are left"):
        check_stage(GreedyStageSettings(), base)
    with pytest.raises(AssertionError, match=r"^LooseStageSettings must refuse a key that it does not have"):
        check_stage(LooseStageSettings(), base)


class DrawnTermSettings(LowRankSettings):
    """Begins anywhere."""

    def residual(self, widths: Widths, space: LabelSpace) -> nn.Module:
        return nn.Linear(widths.pooled, space.num_classes)


def test_a_joint_term() -> None:
    check_joint_term(LowRankSettings(rank=3))
    with pytest.raises(AssertionError, match=r"^DrawnTermSettings must begin as the product of the heads, exactly"):
        check_joint_term(DrawnTermSettings())


# --- sources ----------------------------------------------------------------------------------------------------------


class TwiceSettings(CompetitionSettings):
    """Gives its first image twice."""

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        found = super().samples(root, space)
        return found.take(np.array([0, *range(len(found))]))


class ShuffledSettings(CompetitionSettings):
    """Gives its images in another order each time."""

    def samples(self, root: Path, space: LabelSpace) -> Samples:
        found = super().samples(root, space)
        return found.take(np.random.default_rng().permutation(len(found)))


def test_a_source(drawn: Path, tmp_path: Path) -> None:
    root = shutil.copytree(drawn, tmp_path / "set")
    check_source(CompetitionSettings(), root, SPACE)
    with pytest.raises(AssertionError, match=r"^TwiceSettings must give each image of the samples once"):
        check_source(TwiceSettings(), root, SPACE)
    with pytest.raises(AssertionError, match=r"^ShuffledSettings must give the same images in the same order"):
        check_source(ShuffledSettings(), root, SPACE)
