"""What holds of every tracker, each with the program that it is for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from multitask.testing.trackers import TRACKER_CHECKS
from multitask.tracking import TRACKERS, TrackerSettings


@pytest.mark.parametrize("name", TRACKERS)
@pytest.mark.parametrize("check", TRACKER_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[TrackerSettings], None], name: str, mlflow_uri: str) -> None:
    settings = {"mlflow": {"uri": mlflow_uri}, "wandb": {"mode": "offline"}}
    check(TRACKERS[name].model_validate(settings.get(name, {})))
