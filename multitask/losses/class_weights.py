"""Class weights: how much more an image of a rare class counts than one of a common class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from multitask.errors import UserError
from multitask.settings import Float, NonNegativeFloat, Settings, Table

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = NDArray[np.float64]


class ClassWeightSettings(Settings):
    """The settings of class weights, which follow from the number of training images n_c of each class c.

    >>> from multitask.losses.class_weights import ExplicitWeights, InverseFrequency
    >>> counts = np.array([30.0, 10.0])
    >>> InverseFrequency(power=1.0).raw(counts).round(4), InverseFrequency(power=1.0).scaled(counts)
    (array([0.0333, 0.1   ]), tensor([0.6667, 2.0000]))
    >>> list(ExplicitWeights(values=(1.0, 3.0)).problems(("s", "m", "l")))
    ['values: must be 3, one for each of s, m, l; found 2']
    """

    name: str

    def problems(self, classes: Sequence[str]) -> Iterator[str]:
        """Why these cannot be the weights of some classes: ``key: rule, what was found``, a line each."""
        yield from ()

    @abstractmethod
    def raw(self, counts: FloatArray) -> FloatArray:
        """(C_t,) the weights up to a common factor, from (C_t,) the number of training images of each class."""

    def scaled(self, counts: FloatArray) -> Tensor:
        """The weights, scaled so that their mean over the training images is 1 and the step keeps its length.

        w_c = r_c / (sum_k r_k n_k / sum_k n_k), with r (C_t,) the raw weights and n (C_t,) the counts.

        Args:
            counts: (C_t,) training images of each class.

        Returns:
            (C_t,) float32.

        Raises:
            UserError: there are training images, but only of classes whose weight is 0.
        """
        import torch

        raw = self.raw(counts)
        seen = counts.sum()
        mean = float((raw * counts).sum() / seen) if seen > 0 else float(raw.mean())
        if not mean > 0:
            raise UserError(
                f"class_weights: are 0 for all {int((counts > 0).sum())} classes that the {seen:,.0f} labels to learn "
                f"from are of; so nothing would be learned"
            )
        return torch.tensor(raw / mean, dtype=torch.float32)


CLASS_WEIGHTS: Table[ClassWeightSettings] = Table("class weighting", ClassWeightSettings, default="none")
"""The table of class weightings; its rows stand in the package's ``__init__``."""

AnyClassWeights = Annotated[ClassWeightSettings, CLASS_WEIGHTS]


class NoWeights(ClassWeightSettings):
    """Every class counts the same.

    >>> NoWeights().raw(np.array([30.0, 10.0]))
    array([1., 1.])
    """

    name: Literal["none"] = "none"

    def raw(self, counts: FloatArray) -> FloatArray:
        """(C_t,) ones."""
        return np.ones_like(counts)


class ExplicitWeights(ClassWeightSettings):
    """Weights as given, in class order; only their ratios matter.

    >>> ExplicitWeights(values=(1.0, 3.0)).scaled(np.array([30.0, 10.0]))
    tensor([0.6667, 2.0000])
    """

    name: Literal["explicit"] = "explicit"
    values: Annotated[tuple[NonNegativeFloat, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _check(self) -> ExplicitWeights:
        if not any(self.values):
            raise ValueError("values must not all be 0")
        return self

    def problems(self, classes: Sequence[str]) -> Iterator[str]:
        """A line where there is not one weight for each class."""
        if len(self.values) != len(classes):
            names = f"{', '.join(classes[:6])}{', ...' if len(classes) > 6 else ''}"
            yield f"values: must be {len(classes)}, one for each of {names}; found {len(self.values)}"

    def raw(self, counts: FloatArray) -> FloatArray:
        """(C_t,) ``values``, whatever the counts."""
        return np.array(self.values)


class InverseFrequency(ClassWeightSettings):
    """r_c = n_c ** -power, with n_c the training images of class c.

    ``power`` 1 gives every class the same say, 0 every image; 0.5 goes half the way.

    >>> InverseFrequency(power=0.5).raw(np.array([100.0, 25.0]))
    array([0.1, 0.2])
    """

    name: Literal["inverse_frequency"] = "inverse_frequency"
    power: Annotated[Float, Field(ge=0, le=1)] = 1.0

    def raw(self, counts: FloatArray) -> FloatArray:
        """(C_t,) r, from (C_t,) n; a class without images counts as one that has 1."""
        return np.maximum(counts, 1.0) ** -self.power


class EffectiveNumber(ClassWeightSettings):
    """r_c = (1 - beta) / (1 - beta ** n_c): Cui et al. 2019, equation 2, https://arxiv.org/abs/1901.05555.

    n_c is the number of training images of class c, and 1 / r_c its effective number: images beyond about
    1 / (1 - ``beta``) add little. ``beta`` 0 weights every class the same, ``beta`` towards 1 by 1 / n_c.

    >>> EffectiveNumber(beta=0.9).raw(np.array([1.0, 1000.0])).round(3)
    array([1. , 0.1])
    """

    name: Literal["effective_number"] = "effective_number"
    beta: Annotated[Float, Field(ge=0, lt=1)] = 0.999

    def raw(self, counts: FloatArray) -> FloatArray:
        """(C_t,) r, from (C_t,) n; a class without images counts as one that has 1."""
        return (1 - self.beta) / (1 - self.beta ** np.maximum(counts, 1.0))
