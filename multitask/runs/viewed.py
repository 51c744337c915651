"""A network that answers each image by its test-time views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from multitask.data.images import Normaliser, Pixels
from multitask.evaluation.metrics import FloatArray
from multitask.evaluation.predictions import compute
from multitask.evaluation.views import Views
from multitask.labels import LabelSpace


class AsPixels:
    """The preprocessing of a network that takes pixels."""

    def normalise(self, images: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 as they are."""
        return images


@dataclass(frozen=True, eq=False)
class ViewedNetwork:
    """The average over the views of images.

    Attributes:
        network: (B, 3, H, W), normalised, to {head: (B, C_t) log-probabilities}.
        preprocessing: the network's.
        views: that are averaged.
        space: of the tasks.
    """

    network: Callable[[Tensor], Mapping[str, Tensor]]
    preprocessing: Normaliser
    views: Views
    space: LabelSpace

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """(B, H, W, 3) uint8 to {head: (B, C_t) log-probabilities}."""

        def answers(pixels: Pixels) -> dict[str, FloatArray]:
            normalised = self.preprocessing.normalise(torch.from_numpy(pixels).to(images.device))
            found = compute(self.network, normalised)
            return {name: values.double().log_softmax(dim=1).cpu().numpy() for name, values in found.items()}

        averaged = self.views.answers(images.cpu().numpy(), answers, self.space)
        return {name: torch.from_numpy(values) for name, values in averaged.items()}
