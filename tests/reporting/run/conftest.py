"""The page of a run with its plots left out, or its curves kept."""

from __future__ import annotations

import pytest

from multitask.reporting.run import curves as learning
from multitask.reporting.run import plots


@pytest.fixture
def undrawn(monkeypatch):
    """Leaves the plots out, for the tests of words and tables: they take nearly all of a page's time."""
    names = {plots: ("attribution", "confusion", "distribution", "reliability"), learning: ("learning_curves",)}
    for module, name in ((module, name) for module, found in names.items() for name in found):
        monkeypatch.setattr(module, name, lambda *_, key, label, **__: f'<svg id="{key}"></svg>')


@pytest.fixture
def curves(monkeypatch, undrawn):
    """Per learning curve that the page asked for: its epochs, each line's values and each line's stroke."""
    drawn = {}

    def draw(epochs, lines, *, key, **_):
        values, strokes = {line.name: line.values for line in lines}, {line.name: line.stroke for line in lines}
        drawn[key] = (list(epochs), values, strokes)
        return f'<svg id="{key}"></svg>'

    monkeypatch.setattr(learning, "learning_curves", draw)
    return drawn
