"""Any engine, asked for several views of each image."""

from __future__ import annotations

from multitask.data.images import Pixels
from multitask.evaluation.metrics import FloatArray
from multitask.evaluation.views import Views
from multitask.inference.engines.base import Engine


class ViewedEngine(Engine):
    """The average of an engine's answers to the views of an image.

    Args:
        engine: computes the network.
        views: that are averaged.
    """

    def __init__(self, engine: Engine, views: Views) -> None:
        self.spec = engine.spec
        self._engine = engine
        self._views = views

    def log_probs(self, images: Pixels) -> dict[str, FloatArray]:
        """As ``Engine.log_probs``, once for each view."""
        return self._views.answers(images, self._engine.log_probs, self.spec.space)
