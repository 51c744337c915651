"""The settings of pseudo-labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from multitask.settings import Float, Settings

MOST_ROUNDS = 20


class PseudoSettings(Settings):
    """What a head must be sure of, and how many of its labels are taken."""

    precision: Annotated[Float, Field(gt=0, lt=1)] = 0.95
    """The share of a head's labels that must be right, label by label; a group counts once, whatever its images."""
    certainty: Annotated[Float, Field(ge=0.5, lt=1)] = 0.9
    """The confidence of the lower bound of the precision, over the groups that it is estimated on."""
    balance: Literal["prior", "none"] = "prior"
    """prior: labels are taken in their estimated shares of the images, but for a factor of two, the surest first; none:
    all that are sure."""
    weight: Annotated[Float, Field(gt=0, le=1e6)] = 1.0
    """Of such an image in the loss, beside 1 of a labelled one."""


class RoundsSettings(PseudoSettings):
    """The same in rounds: each trains on the labels of the round before, and labels anew."""

    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS)] = 1
    """How often it is labelled and trained."""
    precision_step: Annotated[Float, Field(ge=0, lt=1)] = 0.0
    """By how much ``precision`` falls from round to round: the surest are learned first, then more of them."""

    @model_validator(mode="after")
    def _check(self) -> RoundsSettings:
        if self.rounds == 1 and self.precision_step:
            raise ValueError(f"precision_step: {self.precision_step:g} would be ignored: there is one round")
        if self.precision - self.precision_step * (self.rounds - 1) <= 0:
            raise ValueError(
                f"precision_step: {self.precision_step:g} leaves no precision in round {self.rounds}; make it smaller"
            )
        return self

    def of_round(self, number: int) -> PseudoSettings:
        """The settings of a round, from 1."""
        fields = self.model_dump(include=set(PseudoSettings.model_fields))
        precision = self.precision - self.precision_step * (number - 1)
        return PseudoSettings(**{**fields, "precision": round(precision, 6)})
