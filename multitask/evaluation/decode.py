"""Decode rules: from the heads' log-probabilities to one class per picture."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from multitask.labels import LabelSpace
from multitask.settings import Settings, variants


class DecodeSettings(Settings):
    """A decode rule: its settings, and how it decides."""

    name: str

    @abstractmethod
    def decode(self, log_probs: Mapping[str, Tensor], space: LabelSpace) -> NDArray[np.int64]:
        """The class of each picture.

        Args:
            log_probs: per head, (N, C_t).
            space: the label space of the heads.

        Returns:
            (N,) classes that can occur.
        """


class IndependentSettings(DecodeSettings):
    """Each head's most probable label, combined.

    Where the combination is a cell that cannot occur: the most probable cell that can, taking the heads as independent.
    That is one rule, since the arg-max of a product is the product of the arg-maxes.
    """

    name: Literal["independent"] = "independent"

    def decode(self, log_probs: Mapping[str, Tensor], space: LabelSpace) -> NDArray[np.int64]:
        """(N,) classes."""
        labels = np.stack([log_probs[name].argmax(dim=1).cpu().numpy() for name in space.task_names], axis=1)
        classes = space.encode(labels)
        wrong = ~space.possible[classes]
        if wrong.any():
            rows = np.flatnonzero(wrong)
            joint = space.joint_log_probs({name: values[rows] for name, values in log_probs.items()})
            classes[rows] = joint.argmax(dim=1).cpu().numpy()
        return classes


AnyDecode = Annotated[IndependentSettings, *variants("independent")]
"""The table of decode rules: a new one is a class above, and a name here."""
