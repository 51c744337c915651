from __future__ import annotations

import pytest

from multitask.errors import UserError
from multitask.settings import Settings, validate
from multitask.tracking import TRACKERS, AnyTracker


class Section(Settings):
    tracking: tuple[AnyTracker, ...]


def test_a_tracker_is_its_name_or_its_settings() -> None:
    found = validate(Section, {"tracking": ["csv", {"name": "mlflow", "experiment": "masks"}]}).tracking
    assert found == (TRACKERS["csv"](), TRACKERS["mlflow"].model_validate({"experiment": "masks"}))


def test_one_whose_library_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multitask.tracking.settings.find_spec", lambda name: None)
    TRACKERS["csv"]().require()
    for name in ("tensorboard", "mlflow", "wandb"):
        with pytest.raises(UserError, match=rf"tracking: {name} needs .* `pip install 'multitask\[{name}\]'`"):
            TRACKERS[name]().require()
