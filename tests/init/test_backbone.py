"""The network, size and epochs for an hour: larger sets and machines get larger networks, and no plan takes longer."""

from __future__ import annotations

import pytest

from multitask.init.backbone import BUDGET_S, CANDIDATES, plan
from multitask.init.image_sizes import Sizes
from multitask.model import timm_names

LARGE = Sizes(((384, 512),) * 3, 0)


@pytest.mark.parametrize(
    ("num", "gpu", "cores", "name", "size"),
    [
        (200, False, 2, "resnet10t", (128, 96)),
        (5_000, False, 2, "resnet10t", (128, 96)),
        (20_000, False, 16, "resnet18", (128, 96)),
        (20_000, True, 16, "resnet18", (224, 168)),
        (100_000, True, 16, "resnet18", (224, 168)),
    ],
)
def test_what_is_planned(num: int, gpu: bool, cores: int, name: str, size: tuple[int, int]) -> None:
    found = plan(num, LARGE, gpu=gpu, cores=cores)
    assert (found.backbone["name"], found.backbone["weights"], found.image_size) == (name, "none", size)
    assert found.seconds <= BUDGET_S


def test_a_set_too_large_for_the_machine_gets_fewer_epochs_then_smaller_images() -> None:
    plans = [plan(num, LARGE, gpu=False, cores=1) for num in (5_000, 15_000, 60_000, 10_000_000)]
    assert [found.epochs for found in plans] == sorted((found.epochs for found in plans), reverse=True)
    assert [found.image_size for found in plans] == sorted((found.image_size for found in plans), reverse=True)
    assert all(found.seconds <= BUDGET_S for found in plans[:-1])
    assert plans[-1].epochs == 3


def test_candidates_are_timm_models() -> None:
    assert all(timm_names.is_model(candidate.name) for candidate in CANDIDATES)
    assert [candidate.cpu_rate for candidate in CANDIDATES] == sorted((c.cpu_rate for c in CANDIDATES), reverse=True)
