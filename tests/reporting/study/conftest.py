"""The page of a study with its plots left out."""

from __future__ import annotations

import pytest

from multitask.reporting.study import plots, space_plots, weight_plots


@pytest.fixture
def drawn(monkeypatch):
    """Leaves the plots out, and holds what each of them was asked to show: by key, its arguments."""
    asked = {}
    for module, names in (
        (plots, ("history", "curves", "importances", "intervals")),
        (space_plots, ("setting_slice", "parallel", "trade_off")),
        (weight_plots, ("head_weights",)),
    ):
        for name in names:

            def draw(*arguments, key, label, **more):
                asked[key] = (arguments, more)
                return f'<svg id="{key}"></svg>'

            monkeypatch.setattr(module, name, draw)
    return asked
