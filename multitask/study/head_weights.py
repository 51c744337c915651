"""The weights of all heads as an entry of a study's space."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from multitask.errors import UserError
from multitask.settings import Changes, PositiveFloat
from multitask.study.parameters import BaseValues, Entry, Suggester, check_range, in_range

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


class HeadWeightsEntry(Entry):
    """The weights of all heads, which stands under ``heads``.

    K heads have K - 1 free ratios, each the weight of a head to that of the first one, drawn evenly in the logarithm.
    The weights' sum stays K: their overall scale is the learning rate's (Kurin et al. 2022,
    https://arxiv.org/abs/2201.04122).
    """

    kind: Literal["head_weights"] = "head_weights"
    low: PositiveFloat = 0.2
    high: PositiveFloat = 5.0

    @model_validator(mode="after")
    def _check(self) -> HeadWeightsEntry:
        check_range(self.low, self.high, True, None)
        return self

    def check(self, path: str, base: BaseValues, paths: Collection[str]) -> None:
        """Refuses another path than ``heads``, a single head, and a weight that has an entry of its own."""
        if path != "heads":
            raise UserError(f"space.{path}: head_weights stands under heads, found under {path}")
        if len(base.heads) < 2:
            raise UserError("space.heads: there is one head, whose weight has nothing to be weighed against")
        if clash := [key for key in paths if key.startswith("heads.") and key.endswith(".weight")]:
            raise UserError(f"space.{clash[0]}: is one of the weights that space.heads sets")

    def names(self, path: str, base: BaseValues) -> tuple[str, ...]:
        """``weight_ratio.<head>`` of every head but the first."""
        return tuple(f"weight_ratio.{head}" for head in base.heads[1:])

    def distribution(self) -> BaseDistribution:
        """Uniform in the logarithm."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=True)

    def suggest(self, trial: Suggester, name: str) -> float:
        """A ratio between the ends."""
        return trial.suggest_float(name, self.low, self.high, step=None, log=True)

    def ends(self) -> tuple[float, float]:
        """The least and the greatest ratio."""
        return self.low, self.high

    def contains(self, value: Any) -> bool:
        """Whether it is a ratio between the ends."""
        return in_range(value, self.low, self.high)

    def changes(self, path: str, values: tuple[Any, ...], base: BaseValues) -> Changes:
        """The weights with these ratios, whose sum is the number of heads."""
        ratios = (1.0, *values)
        scale = len(ratios) / math.fsum(ratios)
        return {f"heads.{head}.weight": ratio * scale for head, ratio in zip(base.heads, ratios, strict=True)}

    def base_values(self, path: str, base: BaseValues) -> tuple[Any, ...] | None:
        """The ratios of the base's weights, if the range holds them all."""
        first, *others = (base.settings[f"heads.{head}.weight"] for head in base.heads)
        if not first:
            return None
        ratios = tuple(weight / first for weight in others)
        return ratios if all(self.contains(ratio) for ratio in ratios) else None
