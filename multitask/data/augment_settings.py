"""The ``augment`` section of a config."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from multitask.data.crop import check_extent
from multitask.settings import Bool, Fraction, NonNegativeFloat, PositiveFloat, Settings


class MixSettings(Settings):
    """The ``augment.mix`` section: how often batches are mixed, and how evenly."""

    mixup_prob: Fraction = 0.0
    """The share of the batches whose images are blended in pairs, labels likewise."""
    mixup_alpha: PositiveFloat = 0.2
    """Both parameters of the Beta distribution of lambda; small: mostly one image, large: half and half."""
    cutmix_prob: Fraction = 0.0
    """The share of the batches whose images have a part of another pasted in, labels by area."""
    cutmix_alpha: PositiveFloat = 1.0
    """As ``mixup_alpha``; lambda is the share that is kept."""
    cutmix_vertical: Bool = False
    """Whether the pasted part is a band of full height (one side of a face) rather than a box."""

    @model_validator(mode="after")
    def _check(self) -> MixSettings:
        if self.mixup_prob + self.cutmix_prob > 1:
            raise ValueError(
                f"mixup_prob and cutmix_prob must be at most 1 together, found {self.mixup_prob} and {self.cutmix_prob}"
            )
        return self


class CoverSettings(Settings):
    """A cover: how often, and where, in fractions of the network's input.

    A source that does not label a task may be changed in what that task is read from: bare faces, of which gender and
    age are known, train the heads of both for faces that wear a mask.
    """

    share: Fraction = 0.0
    """The share of the images that are covered, each time that they are drawn."""
    left: Fraction = 0.2
    top: Fraction = 0.5
    right: Fraction = 0.8
    bottom: Fraction = 0.9

    @model_validator(mode="after")
    def _check(self) -> CoverSettings:
        check_extent((self.left, self.top, self.right, self.bottom))
        return self


SHARES = ("geometry", "colour", "noise", "occlusion")
"""The keys of the families' shares."""


class AugmentSettings(Settings):
    """The ``augment`` section.

    A family's own strength is ``strength`` times its share, at most 1. At 0 an image is exactly what validation sees;
    at 1 it is changed strongly; in between, probabilities and magnitudes rise together.
    """

    strength: Fraction = 0.4
    geometry: NonNegativeFloat = 1.0
    """Share of rotation, scale, shift and shear."""
    colour: NonNegativeFloat = 1.0
    """Share of brightness, contrast, hue, saturation and gamma."""
    noise: NonNegativeFloat = 1.0
    """Share of blur, noise and compression."""
    occlusion: NonNegativeFloat = 1.0
    """Share of boxes that are covered."""
    flip: Bool | Literal["alone"] = True
    """Whether left and right may be swapped, as part of the geometry family; not for classes that differ by it.
    ``alone``: they may, and nothing else of that family is done."""
    mix: MixSettings = MixSettings()

    @property
    def mixes(self) -> bool:
        """Whether images of a batch may be mixed."""
        return self.mix.mixup_prob + self.mix.cutmix_prob > 0

    @property
    def covered(self) -> CoverSettings | None:
        """The cover of the images; None: none are covered."""
        return None

    @property
    def changing(self) -> tuple[str, float] | None:
        """What may change an image, the key of a number above 0 and the number; None: nothing does."""
        if self.strength * max(getattr(self, family) for family in SHARES) > 0:
            return "strength", self.strength
        return None if self.covered is None else ("cover.share", self.covered.share)

    @property
    def changes_images(self) -> bool:
        """Whether training may see other pixels than validation does."""
        return self.changing is not None or self.mixes


class SourceAugmentSettings(AugmentSettings):
    """The augmentation of one of several sources, as ``DataSettings.augmented`` puts it together."""

    cover: CoverSettings

    @property
    def covered(self) -> CoverSettings | None:
        """The source's, where it has a share."""
        return self.cover if self.cover.share > 0 else None
