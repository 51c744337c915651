"""Post-hoc logit adjustment with one strength."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from multitask.evaluation.decode.base import (
    JOINT,
    DecodeRule,
    LabelledOutputs,
    ModelOutputs,
    Priors,
    best_cell,
    check_widths,
    macro_f1,
    product,
)
from multitask.evaluation.decode.temperature import FittedSettings, Tempered, fit_temperatures
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import LabelSpace
from multitask.settings import Float, NonNegativeFloat

STRENGTHS = np.round(np.arange(0, 2.01, 0.1), 1)
"""What is tried; 0: no correction, 1: every class is equally probable beforehand."""


class PriorCorrection(Tempered):
    """Log-probabilities less ``strength`` times the log-priors that they hold."""

    name: Literal["prior_correction"] = "prior_correction"
    strength: NonNegativeFloat
    log_priors: dict[str, tuple[Float, ...]]
    """Per head, or of the classes where a joint term is learned."""

    def decode(self, outputs: ModelOutputs) -> IntArray:
        """(N,) classes."""
        offsets = {name: -self.strength * np.array(values) for name, values in self.log_priors.items()}
        return best_cell(outputs.scores(self.temperatures, offsets))[0]

    def check(self, space: LabelSpace) -> None:
        """Checks that there is a prior for each label.

        Raises:
            UserError: there is not.
        """
        super().check(space)
        check_widths("log_priors", self.log_priors, space)


class PriorCorrectionSettings(FittedSettings):
    """Logit adjustment after training: Menon et al. 2021, equation 9, https://arxiv.org/abs/2007.07314.

    The class of the highest log p(class | x) - strength x log prior(class). The prior is the one that the outputs hold.
    Heads that learn their tasks apart hold the product of the tasks' priors, however often the tasks' labels go
    together, so that product is taken away; a rare cell's own count, a handful of people, would add noise that is in
    no head. Only where classes are learned as a whole, by one head over all or a joint term, is it theirs.
    """

    name: Literal["prior_correction"] = "prior_correction"
    strength: NonNegativeFloat | None = None
    """None: that of the best macro-F1."""

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """Tries the strengths; the weakest of the best."""
        temperatures = fit_temperatures(known, priors)
        names = (JOINT,) if known.outputs.joint is not None else known.space.task_names
        implied: Mapping[str, FloatArray] = frequencies(known.labels, known.space) if priors is None else priors.implied
        log_priors = {name: tuple(map(float, implied[name])) for name in names}
        strength = self.strength
        if strength is None:
            whole = known.whole()
            scores = whole.outputs.scores(temperatures)
            prior = np.array(log_priors[JOINT]) if JOINT in log_priors else _of_product(log_priors, known.space)
            values = [
                macro_f1(whole.classes, best_cell(scores - tried * prior[:, None])[0], known.space.possible)
                for tried in STRENGTHS
            ]
            strength = float(STRENGTHS[int(np.argmax(values))])
        return PriorCorrection(temperatures=temperatures, strength=strength, log_priors=log_priors)


def _of_product(log_priors: Mapping[str, tuple[float, ...]], space: LabelSpace) -> FloatArray:
    return product({name: np.array(values) for name, values in log_priors.items()}, space)


def frequencies(labels: IntArray, space: LabelSpace) -> dict[str, FloatArray]:
    """How frequent labels are, as log-priors.

    Args:
        labels: (N, H), ``MISSING`` where unknown.
        space: the label space of the heads.

    Returns:
        Per head (C_t,), one picture more of each label than there are, so that none is impossible; ``joint`` (C,),
        with as many pictures more as there are classes, spread as the product of the heads' frequencies has it, since
        many a cell has next to none; cells that cannot occur have a picture's share.
    """
    found = {}
    for task, column in zip(space.tasks, labels.T, strict=True):
        counts = np.bincount(column[column >= 0], minlength=task.num_classes) + 1.0
        found[task.name] = np.log(counts / counts.sum())
    classes = space.encode(labels)
    expected = np.exp(product(found, space))
    counts = np.bincount(classes[classes >= 0], minlength=space.num_classes) + space.num_classes * expected
    found[JOINT] = np.log(counts / counts.sum())
    return found
