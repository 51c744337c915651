"""Post-hoc logit adjustment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from multitask.evaluation.decode.base import DecodeRule, best_cell, check_widths, macro_f1
from multitask.evaluation.decode.class_score import ClassScore, class_offsets
from multitask.evaluation.decode.outputs import LabelledOutputs, ModelOutputs, Priors, product
from multitask.evaluation.decode.temperature import FittedSettings, Tempered, fit_temperatures
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.labels import JOINT, LabelSpace
from multitask.settings import Float, NonNegativeFloat

STRENGTHS = np.round(np.arange(0, 2.01, 0.1), 1)
"""The strengths that are tried; 0: no correction, 1: a uniform prior."""


class PriorCorrection(Tempered):
    """argmax over y of log p(y | x) - ``strength`` log pi(y); symbols as in ``PriorCorrectionSettings``.

    >>> from multitask.labels import Task
    >>> rule = PriorCorrection(temperatures={"colour": 1.0}, strength=1.0, log_priors={"colour": (-0.11, -2.3)})
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([[0.8, 0.2]])})
    >>> rule.decode(outputs), rule.class_score(space, joint=False).of(outputs).argmax(axis=0)
    (array([1]), array([1]))
    """

    name: Literal["prior_correction"] = "prior_correction"
    strength: NonNegativeFloat
    log_priors: dict[str, tuple[Float, ...]]
    """log pi: per head (C_t,), or of the classes (C,) under ``joint`` where a joint term is learned."""

    def decode(self, outputs: ModelOutputs) -> IntArray:
        """(N,) classes that can occur."""
        return best_cell(outputs.scores(self.temperatures, self._offsets()))[0]

    def class_score(self, space: LabelSpace, joint: bool) -> ClassScore | None:
        """The scaled log-probability less the class's log-prior, times the strength."""
        return ClassScore(self.temperatures, class_offsets(self._offsets(), space, joint))

    def _offsets(self) -> dict[str, FloatArray]:
        return {name: -self.strength * np.array(values) for name, values in self.log_priors.items()}

    def check(self, space: LabelSpace) -> None:
        """Refuses priors of another label space.

        Raises:
            UserError: a label has none, or one is of no head.
        """
        super().check(space)
        check_widths("log_priors", self.log_priors, space)


class PriorCorrectionSettings(FittedSettings):
    """Logit adjustment after training: Menon et al. 2021, equation 9, https://arxiv.org/abs/2007.07314.

    argmax over y of log p(y | x) - tau log pi(y), with p(y | x) the calibrated probability of class y given image x,
    tau ``strength`` and pi the prior of the classes that the outputs contain. Heads that learn their tasks apart
    contain the product of the tasks' priors, however often the tasks' labels go together, so that product is corrected
    for; a rare cell's own count, a handful of groups, would add noise that is in no head. Only where classes are
    learned as a whole, by one head over all or a joint term, is pi theirs.

    >>> from multitask.labels import Task
    >>> red = np.array([0.9, 0.8, 0.6, 0.55])
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> outputs = ModelOutputs(space, {"colour": np.log([red, 1 - red]).T})
    >>> known = LabelledOutputs(outputs, np.array([[0], [0], [1], [1]]), np.array(list("abcd"), dtype=object))
    >>> PriorCorrectionSettings(strength=1.0).fit(known, priors=None, seed=0).decode(outputs)
    array([0, 0, 0, 0])
    """

    name: Literal["prior_correction"] = "prior_correction"
    strength: NonNegativeFloat | None = None
    """tau; None: that of ``STRENGTHS`` with the best macro-F1."""

    def num_parameters(self, space: LabelSpace) -> int:
        """A temperature for each head, and the strength."""
        return space.num_tasks + 1

    def fit(self, known: LabelledOutputs, priors: Priors | None, seed: int) -> DecodeRule:
        """The rule with the given strength, or the weakest of those with the best macro-F1 on ``known``."""
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
    """The log-priors of labels, from their frequencies.

    Args:
        labels: (N, H), ``MISSING`` where unknown.
        space: the label space of the heads.

    Returns:
        Per head t (C_t,), log((n_c + 1) / sum_k (n_k + 1)), with n_c the images of label c: one more than there are, so
        that none is impossible. ``joint`` (C,), log((n_c + C q_c) / sum_k (n_k + C q_k)), with n_c the images of class
        c and q_c the product of the heads' frequencies, since many a cell has next to no image; cells that cannot occur
        are among them.

    >>> from multitask.labels import Task
    >>> found = frequencies(np.array([[0], [0], [1], [-1]]), LabelSpace([Task("colour", ("red", "blue"))]))
    >>> np.exp(found["colour"])
    array([0.6, 0.4])
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
