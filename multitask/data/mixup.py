"""Mixing two images of a batch: mixup and CutMix for several heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from multitask.data.augment_settings import MixSettings
from multitask.labels import MISSING


@dataclass(frozen=True)
class BatchTargets:
    """The targets of a batch, which may be mixed with a permutation of itself.

    A mixed image is ``lam`` of the one's labels and ``1 - lam`` of the other's. Its joint target is therefore
    ``lam * delta(labels) + (1 - lam) * delta(labels[partner])``, two cells of the product, and not the product of the
    mixed marginals, which would put weight on classes that neither image has. Losses take each side whole and weigh
    them.

    Attributes:
        labels: (B, T) int64, ``MISSING`` where unknown.
        weights: (B,) of the samples in the losses, or (B, T) in each.
        numbers: (B, T) the raw numbers that labels were made of, NaN where there is none.
        partner: (B,) for each image, the index in the batch of the one mixed in; None: the batch is not mixed.
        lam: lambda, the share of an image's own pixels.
    """

    labels: Tensor
    weights: Tensor
    numbers: Tensor
    partner: Tensor | None = None
    lam: float = 1.0

    def labelled_weights(self) -> Tensor:
        """(T,) the weight of the samples whose label is known; of a mixed batch that of either side, which agree."""
        weights = self.weights.unsqueeze(1) if self.weights.ndim == 1 else self.weights
        return (weights * (self.labels != MISSING)).sum(dim=0)

    def weights_of(self, column: int) -> Tensor:
        """(B,) the weights of the samples in one of the losses."""
        return self.weights if self.weights.ndim == 1 else self.weights[:, column]

    def sides(self) -> list[tuple[float, BatchTargets]]:
        """Share and unmixed targets of each side of the mixture."""
        own = (self.lam, BatchTargets(self.labels, self.weights, self.numbers))
        if self.partner is None:
            return [own]
        other = BatchTargets(self.labels[self.partner], self.weights[self.partner], self.numbers[self.partner])
        return [own, (1.0 - self.lam, other)]


@dataclass(frozen=True)
class Mixture:
    """How a batch is mixed with a permutation of itself.

    Attributes:
        partner: (B,) for each image, the index in the batch of the one mixed in.
        lam: the share of an image's own pixels.
        box: top, bottom, left and right in pixels of what is pasted; None: all pixels are blended.
    """

    partner: Tensor
    lam: float
    box: tuple[int, int, int, int] | None = None

    def images(self, own: Tensor, others: Tensor, partner: Tensor | slice) -> Tensor:
        """(n, 3, H, W) mixed images.

        Args:
            own: (n, 3, H, W) float, of any rows of the batch.
            others: (m, 3, H, W), which have their partners.
            partner: the places of those, (n,).
        """
        if self.box is None:
            return own * self.lam + others[partner] * (1 - self.lam)
        top, bottom, left, right = self.box
        mixed = own.clone()
        mixed[:, :, top:bottom, left:right] = others[partner, :, top:bottom, left:right]
        return mixed

    def targets(self, own: BatchTargets) -> BatchTargets:
        """The batch's targets, mixed."""
        return replace(own, partner=self.partner, lam=self.lam)


def draw_mixture(
    num: int, size: Sequence[int], settings: MixSettings, seed: int, device: torch.device
) -> Mixture | None:
    """Draws whether and how a batch is mixed, by mixup or CutMix; None: it is not.

    Image i becomes lambda x_i + (1 - lambda) x_j, with x_j its partner and lambda from a symmetric beta distribution
    (mixup: Zhang et al. 2018, https://arxiv.org/abs/1710.09412); or a box of it, of about 1 - lambda of the area, is
    replaced by that of x_j, with lambda then recomputed from the area really pasted (CutMix: Yun et al. 2019,
    https://arxiv.org/abs/1905.04899).

    Args:
        num: of the batch's images, B.
        size: their height and width.
        settings: the probability of each method, and the parameter of its beta distribution.
        seed: of every random choice.
        device: that ``partner`` is to be on.
    """
    if settings.mixup_prob == settings.cutmix_prob == 0:
        return None
    rng = np.random.default_rng(seed)
    draw = rng.random()
    if draw >= settings.mixup_prob + settings.cutmix_prob:
        return None
    partner = torch.from_numpy(rng.permutation(num)).to(device)
    if draw < settings.mixup_prob:
        return Mixture(partner, float(rng.beta(settings.mixup_alpha, settings.mixup_alpha)))
    wanted = float(rng.beta(settings.cutmix_alpha, settings.cutmix_alpha))
    height, width = size
    top, bottom, left, right = box = _box(height, width, wanted, settings.cutmix_vertical, rng)
    return Mixture(partner, 1 - (bottom - top) * (right - left) / (height * width), box)


def mix(images: Tensor, targets: BatchTargets, settings: MixSettings, seed: int) -> tuple[Tensor, BatchTargets]:
    """A batch mixed with a permutation of itself, or left unmixed, as of ``draw_mixture``.

    Args:
        images: (B, 3, H, W) float.
        targets: of each, unmixed.
        settings: the probability of each method, and the parameter of its beta distribution.
        seed: of every random choice.

    Returns:
        (B, 3, H, W) images and their targets.
    """
    mixture = draw_mixture(len(images), images.shape[2:], settings, seed, images.device)
    if mixture is None:
        return images, targets
    return mixture.images(images, images, mixture.partner), mixture.targets(targets)


def _box(height: int, width: int, lam: float, vertical: bool, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of the pasted part, about ``1 - lam`` of the area, in pixels."""
    if vertical:
        cut = round(width * (1 - lam))
        left = 0 if rng.random() < 0.5 else width - cut
        return 0, height, left, left + cut
    side = np.sqrt(1 - lam)
    cut_height, cut_width = int(height * side), int(width * side)
    y, x = int(rng.integers(height)), int(rng.integers(width))
    top, left = max(0, y - cut_height // 2), max(0, x - cut_width // 2)
    return top, min(height, y + cut_height // 2), left, min(width, x + cut_width // 2)
