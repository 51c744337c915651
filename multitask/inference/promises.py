"""Promises of predictions: sets of a named coverage, and answers of a named risk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from multitask.evaluation.calibration import Calibration, check_coverage, check_risk
from multitask.evaluation.conformal import Thresholds, prediction_sets
from multitask.evaluation.metrics import FloatArray
from multitask.labels import JOINT, LabelSpace


@dataclass(frozen=True, eq=False)
class Promises:
    """The thresholds by which a run keeps what is asked of its predictions.

    Attributes:
        thresholds: per task, and for ``joint``, those of its labels; empty where no coverage is asked for.
        least_confidence: the probability of the decided class from which it is answered, infinite where no threshold
            is proven to keep the risk; None where no risk is named.
        note: what should be known of them; empty if nothing.
    """

    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)
    least_confidence: float | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        space: LabelSpace,
        calibration: Calibration | None,
        coverage: float | None = None,
        max_risk: float | None = None,
    ) -> Promises:
        """The promises of a run's predictions.

        Args:
            space: their label space.
            calibration: of their probabilities; None: nobody validated the run.
            coverage: of prediction sets, as of ``evaluation.conformal``; None: no sets.
            max_risk: the most that the error among answered images may be, as of ``evaluation.selective``; None:
                everything is answered.

        Raises:
            UserError: nobody validated the run, or too few groups for this coverage; a number is not between 0 and 1.
        """
        thresholds: dict[str, Thresholds] = {}
        if coverage is not None:
            check_coverage(coverage, calibration)
            assert calibration is not None
            possible = {name: space.possible_labels(name) for name in space.task_names}
            for name, which in {**possible, JOINT: space.possible}.items():
                found = calibration.thresholds(name, which, coverage)
                assert found is not None, "the coverage was checked"
                thresholds[name] = found
        least, note = None, ""
        if max_risk is not None:
            proven = check_risk(max_risk, calibration).answer_threshold(max_risk)
            least = math.inf if proven is None else proven
            if proven is None:
                note = (
                    f"max risk {max_risk:g}: no confidence is proven to keep it by the groups that validated the run; "
                    "everything is to be asked"
                )
        return cls(thresholds, least, note)

    def sets(self, probs: Mapping[str, FloatArray]) -> dict[str, NDArray[np.bool_]] | None:
        """Per task, and for ``joint``, (N, C_t) the labels in each image's set, from their probabilities."""
        if not self.thresholds:
            return None
        return {name: prediction_sets(probs[name], found) for name, found in self.thresholds.items()}

    def ask(self, confidences: FloatArray) -> NDArray[np.bool_] | None:
        """(N,) the images to be asked, from the probability of their decided class."""
        return None if self.least_confidence is None else confidences < self.least_confidence
