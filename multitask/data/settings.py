"""Settings of augmentation and of caching. What they are for is imported when it is used."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from multitask.settings import Bool, Float, Fraction, Int, NonNegativeFloat, PositiveFloat, Settings

FitName = Literal["crop", "pad", "stretch"]
CacheName = Literal["auto", "memory", "disk", "none"]


WHITE = (255, 255, 255)
_Channel = Annotated[Int, Field(ge=0, le=255)]
Background = tuple[_Channel, _Channel, _Channel]


def _check_range(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] >= value[1]:
        raise ValueError(f"the first, which becomes black, must be below the second, found {list(value)}")
    return value


ValueRange = Annotated[tuple[Float, Float], AfterValidator(_check_range)]


class MixSettings(Settings):
    """The ``augment.mix`` section: how often batches are mixed, and how evenly."""

    mixup_prob: Fraction = 0.0
    mixup_alpha: PositiveFloat = 0.2
    """Both parameters of the Beta distribution of lambda; small: mostly one picture, large: half and half."""
    cutmix_prob: Fraction = 0.0
    cutmix_alpha: PositiveFloat = 1.0
    cutmix_vertical: Bool = False
    """Whether the pasted part is a band of full height (one side of a face) rather than a box."""

    @model_validator(mode="after")
    def _check(self) -> MixSettings:
        if self.mixup_prob + self.cutmix_prob > 1:
            raise ValueError(
                f"mixup_prob and cutmix_prob must be at most 1 together, found {self.mixup_prob} and {self.cutmix_prob}"
            )
        return self


class AugmentSettings(Settings):
    """The ``augment`` section.

    A family's own strength is ``strength`` times its share, at most 1. At 0 a picture is exactly what validation sees;
    at 1 it is changed strongly; in between, probabilities and magnitudes rise together.
    """

    strength: Fraction = 0.4
    geometry: NonNegativeFloat = 1.0
    colour: NonNegativeFloat = 1.0
    noise: NonNegativeFloat = 1.0
    occlusion: NonNegativeFloat = 1.0
    flip: Bool | Literal["alone"] = True
    """Whether left and right may be swapped, as part of the geometry family; not for classes that differ by it.
    ``alone``: they may, and nothing else of that family is done."""
    mix: MixSettings = MixSettings()
