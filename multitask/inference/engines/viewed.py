"""Any engine, asked for several views of each image."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from multitask.data.images import Pixels
from multitask.errors import UserError
from multitask.evaluation.metrics import FloatArray
from multitask.evaluation.views import Views
from multitask.inference.engines.base import Engine

if TYPE_CHECKING:
    from multitask.runs.viewed_calibration import ViewedCalibration

Calibrate: TypeAlias = "Callable[[Views], ViewedCalibration]"


class ViewedEngine(Engine):
    """The average of an engine's answers to the views of an image.

    Args:
        engine: computes the network.
        views: that are averaged.
        calibrate: reads the calibration of such answers; None: the network's file holds none.
    """

    def __init__(self, engine: Engine, views: Views, calibrate: Calibrate | None = None) -> None:
        self.spec = engine.spec
        self._engine = engine
        self._views = views
        self._calibrate = calibrate

    @property
    def identity(self) -> str:
        """As ``Engine.identity``, with the views."""
        return f"{self._engine.identity} {self._views.name}"

    def log_probs(self, images: Pixels) -> dict[str, FloatArray]:
        """As ``Engine.log_probs``, once for each view."""
        return self._views.answers(images, self._engine.log_probs, self.spec.space)

    @cached_property
    def calibration(self) -> ViewedCalibration:
        """What sets and risks of these answers are calibrated by.

        Raises:
            UserError: there is none.
        """
        if self._calibrate is None:
            raise UserError(
                "views: an exported file can promise sets and risks only of images as they are; name the folder of its "
                "run, or leave out the views"
            )
        return self._calibrate(self._views)
