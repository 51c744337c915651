"""A fitted decode rule where the labels have another prior than where it was fitted."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import SerializeAsAny

from multitask.evaluation.decode.base import DecodeRule
from multitask.evaluation.decode.outputs import ModelOutputs, finite_log_probs
from multitask.evaluation.decode.prior import PriorCorrection
from multitask.evaluation.metrics import FloatArray, IntArray
from multitask.settings import Float


class PriorShifted(DecodeRule):
    """A rule on outputs under a new prior: log p(y | x) + T log pi(y) / rho(y), normalised.

    p(y | x) is an output, T its temperature, pi the new prior and rho that of the calibrated outputs, so that these
    become posteriors under pi. Biases, gains and costs of the rule stay as they were fitted. A rule that divides by
    rho ** tau, as ``PriorCorrection`` with strength tau, is to divide by pi ** tau instead.

    >>> from multitask.evaluation.decode.plain import Joint
    >>> from multitask.labels import LabelSpace, Task
    >>> space = LabelSpace([Task("colour", ("red", "blue"))])
    >>> rule = PriorShifted(rule=Joint(), offsets={"colour": tuple(np.log([0.2 / 0.5, 0.8 / 0.5]))})
    >>> rule.decode(ModelOutputs(space, {"colour": np.log([[0.7, 0.3], [0.9, 0.1]])}))
    array([1, 0])
    """

    name: Literal["prior_shifted"] = "prior_shifted"
    rule: SerializeAsAny[DecodeRule]
    offsets: dict[str, tuple[Float, ...]]
    """T log pi / rho: per head (C_t,), and for ``joint`` (C,) where a joint term is learned."""

    def decode(self, outputs: ModelOutputs) -> IntArray:
        """(N,) classes that can occur."""
        share = 1 - self.rule.strength if isinstance(self.rule, PriorCorrection) else 1.0

        def shifted(name: str, values: FloatArray) -> FloatArray:
            moved = values + share * np.array(self.offsets[name])
            moved -= moved.max(axis=1, keepdims=True)
            return finite_log_probs(moved - np.log(np.exp(moved).sum(axis=1, keepdims=True)))

        heads = {name: shifted(name, values) for name, values in outputs.heads.items()}
        joint = None if outputs.joint is None else shifted("joint", outputs.joint)
        return self.rule.decode(ModelOutputs(outputs.space, heads, joint))
