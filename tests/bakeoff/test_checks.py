from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from multitask.bakeoff.checks import check_contenders
from multitask.bakeoff.plan import load_bakeoff
from multitask.bakeoff.run_configs import RunConfigs
from multitask.errors import UserError
from multitask.settings.yaml_text import dump_yaml


def test_a_contender_that_would_be_scored_on_others_is_named(bakeoff_file: Callable[..., Path], tmp_path: Path) -> None:
    plan = load_bakeoff(bakeoff_file(seeds=1))
    data = RunConfigs(plan).data(plan.config(plan.contenders[0], {}, plan.first_place()))
    fixes = tmp_path / "fixes.yaml"
    drop = {"field": "drop", "reason": "blurred", "source": "me", "tier": "strong"}
    image = str(data.samples.images[data.split.val[0]])
    fixes.write_text(dump_yaml({"corrections": [{"path": image, **drop}]}))

    fewer = {"overrides": {"data.corrections": {"files": [str(fixes)]}}}
    plan = load_bakeoff(bakeoff_file(seeds=1, contenders={"all": None, "fewer": fewer}))
    with pytest.raises(UserError, match=r"^contenders\.fewer: would be scored on other groups than all$"):
        check_contenders(plan, RunConfigs(plan))
