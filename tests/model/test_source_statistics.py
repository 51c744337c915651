"""Batch norms with statistics per source: each source by itself in training, the target's afterwards."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from multitask.errors import UserError
from multitask.model.source_statistics import keep_per_source

CPU = torch.device("cpu")
SOURCES = torch.tensor([0, 1, 0, 1, 1, 0])


@pytest.fixture
def images() -> torch.Tensor:
    """Of which those of the second source are far brighter."""
    torch.manual_seed(0)
    values = torch.randn(6, 4, 5, 5)
    values[SOURCES == 1] += 10
    return values


def test_each_source_is_normalised_by_itself(images: torch.Tensor) -> None:
    norm = nn.BatchNorm2d(4)
    plain = [deepcopy(norm), deepcopy(norm)]
    batch_sources = keep_per_source(nn.Sequential(norm), "x", 2)
    batch_sources.update(SOURCES, CPU)
    found = norm(images)
    for place, alone in enumerate(plain):
        torch.testing.assert_close(found[place == SOURCES], alone(images[place == SOURCES]))
    assert norm.running_mean is not None
    assert plain[0].running_mean is not None
    torch.testing.assert_close(norm.running_mean, plain[0].running_mean)
    torch.testing.assert_close(norm.other_mean[0], plain[1].running_mean)
    torch.testing.assert_close(norm.other_var[0], plain[1].running_var)


def test_afterwards_the_targets_statistics_count_for_all(images: torch.Tensor) -> None:
    norm = nn.BatchNorm2d(4)
    batch_sources = keep_per_source(nn.Sequential(norm), "x", 2)
    batch_sources.update(SOURCES, CPU)
    norm(images)
    norm.eval()
    plain = nn.BatchNorm2d(4).eval()
    plain.load_state_dict({name: value for name, value in norm.state_dict().items() if "other" not in name})
    torch.testing.assert_close(norm(images), plain(images))


def test_scale_and_shift_are_shared_and_gradients_reach_every_row(images: torch.Tensor) -> None:
    norm = nn.BatchNorm2d(4)
    keep_per_source(nn.Sequential(norm), "x", 2).update(SOURCES, CPU)
    images.requires_grad_()
    (norm(images) * torch.randn(6, 4, 5, 5)).sum().backward()
    assert images.grad is not None
    assert (images.grad.abs().sum(dim=(1, 2, 3)) > 0).all()
    assert [name for name, _ in norm.named_parameters()] == ["weight", "bias"]


def test_a_lone_image_at_one_place_is_normalised_by_what_is_known() -> None:
    norm = nn.BatchNorm2d(4)
    keep_per_source(nn.Sequential(norm), "x", 2).update(torch.tensor([0, 0, 1]), CPU)
    found = norm(torch.full((3, 4, 1, 1), 3.0))
    torch.testing.assert_close(found[2], torch.full((4, 1, 1), 3.0), rtol=1e-4, atol=1e-4)
    assert norm.training


def test_a_backbone_without_batch_norm_is_refused() -> None:
    with pytest.raises(UserError, match=r"^model\.batch_norm: per_source would be ignored: vit has no batch norm"):
        keep_per_source(nn.Sequential(nn.LayerNorm(4)), "vit", 2)


def test_a_backbone_of_which_every_batch_norm_is_frozen_is_refused() -> None:
    class Frozen(nn.Sequential):
        def train(self, mode: bool = True) -> Frozen:
            return super().train(False)

    line = r"^model\.batch_norm: per_source would be ignored: every batch norm of x is in a frozen stage"
    with pytest.raises(UserError, match=line):
        keep_per_source(Frozen(nn.BatchNorm2d(4)), "x", 2)
