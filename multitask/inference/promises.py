"""Promises of predictions: sets of a named coverage, and answers of a named risk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from multitask.errors import UserError, nearest, quoted
from multitask.evaluation.calibration import Calibration, check_coverage, check_risk
from multitask.evaluation.conformal import Thresholds, prediction_sets
from multitask.evaluation.conformity import CONFORMITIES, LAC, Conformity
from multitask.evaluation.metrics import FloatArray
from multitask.labels import JOINT, LabelSpace
from multitask.utils.seeds import derive


@dataclass(frozen=True, eq=False)
class Promises:
    """The thresholds by which a run keeps what is asked of its predictions.

    Attributes:
        thresholds: per task, and for ``joint``, those of its labels, where enough groups calibrate them; empty where no
            coverage is asked for.
        least_confidence: the probability of the decided class from which it is answered, infinite where no threshold
            is proven to keep the risk; None where no risk is named.
        notes: what should be known of them.
        conformity: of labels, that the thresholds are of.
        seed: of what a randomised one draws.
    """

    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)
    least_confidence: float | None = None
    notes: tuple[str, ...] = ()
    conformity: Conformity = LAC
    seed: int = 0

    @classmethod
    def of(
        cls,
        space: LabelSpace,
        calibration: Calibration | None,
        coverage: float | None = None,
        max_risk: float | None = None,
        sets: str = LAC.name,
        seed: int = 0,
    ) -> Promises:
        """The promises of a run's predictions.

        Args:
            space: their label space.
            calibration: of their probabilities; None: nobody validated the run.
            coverage: of prediction sets, as of ``evaluation.conformal``; None: no sets.
            max_risk: the most that the error among answered images may be, as of ``evaluation.selective``; None:
                everything is answered.
            sets: a row of ``CONFORMITIES``.
            seed: of what a randomised one draws.

        Raises:
            UserError: nobody validated the run, or too few groups for this coverage; a number is not between 0 and 1;
                the sets are unknown, or the run is too old for them.
        """
        conformity = _conformity(sets, coverage)
        thresholds: dict[str, Thresholds] = {}
        notes = []
        if coverage is not None:
            few = check_coverage(coverage, calibration)
            assert calibration is not None
            if not calibration.serves(conformity):
                raise UserError(
                    f"sets {sets}: the run is of an older version, which kept too little for them; `multitask evaluate "
                    "RUN` writes it, and an exported file is to be exported again after that"
                )
            possible = {name: space.possible_labels(name) for name in space.task_names}
            for name, which in {**possible, JOINT: space.possible}.items():
                if name in few:
                    notes.append(f"coverage {coverage:g}: {few[name]}; no sets of it")
                    continue
                found = calibration.thresholds(name, which, coverage, conformity)
                assert found is not None, "the coverage was checked"
                thresholds[name] = found
        least = None
        if max_risk is not None:
            proven = check_risk(max_risk, calibration).answer_threshold(max_risk)
            least = math.inf if proven is None else proven
            if proven is None:
                notes.append(
                    f"max risk {max_risk:g}: no confidence is proven to keep it by the groups that validated the run; "
                    "everything is to be asked"
                )
        return cls(thresholds, least, tuple(notes), conformity, seed)

    def sets(self, probs: Mapping[str, FloatArray]) -> dict[str, NDArray[np.bool_]] | None:
        """Per task, and for ``joint``, (N, C_t) the labels in each image's set, from their probabilities."""
        if not self.thresholds:
            return None
        draws = None
        if self.conformity.randomised:
            draws = self._generator.random(len(probs[JOINT]))
        return {
            name: prediction_sets(self.conformity.of_images(probs[name], draws), found)
            for name, found in self.thresholds.items()
        }

    @cached_property
    def _generator(self) -> np.random.Generator:
        """One draw after the other, so that they do not depend on how many images are answered at a time."""
        return np.random.default_rng(derive(self.seed, "sets"))

    def ask(self, confidences: FloatArray) -> NDArray[np.bool_] | None:
        """(N,) the images to be asked, from the probability of their decided class."""
        return None if self.least_confidence is None else confidences < self.least_confidence


def _conformity(sets: str, coverage: float | None) -> Conformity:
    if sets not in CONFORMITIES:
        raise UserError(f"sets: unknown {quoted(sets)}{nearest(sets, CONFORMITIES)}")
    if sets != LAC.name and coverage is None:
        raise UserError(f"sets {sets}: would be ignored without a coverage; name one, as 0.9")
    return CONFORMITIES[sets]
