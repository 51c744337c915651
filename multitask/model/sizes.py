"""Image sizes that a network cannot take: the line that says so, and the nearest size that it reads whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from multitask.errors import UserError, first_line
from multitask.model.coverage import WHOLE, unread_margins
from multitask.model.creation import create_body, is_fixed_size
from multitask.model.settings import BackboneSettings
from multitask.model.vision_ops import timm

Size = tuple[int, int]

_STEPS = (7, 8, 14, 16, 32, 64)
"""Pixels of which networks take multiples: patches, strides, and both times windows."""


def is_built_at_other_sizes(settings: BackboneSettings, image_size: Size) -> bool:
    """Whether it is the image size for which a network cannot be built."""
    own = _own_size(settings)
    if own is None or not is_fixed_size(settings):
        return False
    trial = _Trial(settings)
    return not trial.is_built(image_size) and trial.is_built(own)


def refused_size(settings: BackboneSettings, image_size: Size, error: BaseException) -> UserError:
    """The line about a size that a network cannot take.

    Args:
        settings: the backbone's.
        image_size: (H, W) in pixels.
        error: what its own code makes of that, often an assertion without a word.
    """
    why = f": {first_line(error)}" if str(error).strip() else ""
    found = _nearest(settings, image_size)
    way = "" if found is None else f"; the nearest size found that it reads whole is {found[0]} x {found[1]}"
    return UserError(f"data.image_size: {settings.name} cannot take {image_size[0]} x {image_size[1]} px{why}{way}")


def _nearest(settings: BackboneSettings, image_size: Size) -> Size | None:
    """The nearest of some sizes that a network takes and reads whole, else its own; None where there is none."""
    own = _own_size(settings)
    trial = _Trial(settings)
    if own is None or not trial.takes(own):
        return None
    found = (size for size in _candidates(image_size, own) if trial.takes(size) and trial.reads_whole(size))
    return next(found, None)


def _candidates(image_size: Size, own: Size) -> list[Size]:
    """Sizes to try, the nearest first, a network's own last: multiples of the usual steps, and squares of them."""
    height, width = image_size

    def near(side: int, step: int) -> int:
        return max(1, round(side / step)) * step

    sizes = {(near(height, step), near(width, step)) for step in _STEPS}
    sizes |= {(near(side, step),) * 2 for step in _STEPS for side in image_size}
    return [*sorted(sizes - {image_size}, key=lambda size: abs(size[0] - height) + abs(size[1] - width)), own]


def _own_size(settings: BackboneSettings) -> Size | None:
    config = timm.get_pretrained_cfg(settings.name)
    return None if config is None else (config.input_size[1], config.input_size[2])


class _Trial:
    """A network that is tried at several sizes, built anew for each only where it is built for one."""

    def __init__(self, settings: BackboneSettings) -> None:
        self._settings = settings
        self._fixed = is_fixed_size(settings)
        self._built: dict[tuple[str, Size | None], Any] = {}

    def is_built(self, size: Size) -> bool:
        """Whether it can be built for a size."""
        return self._tried(lambda: self._body(size, "meta") is not None)

    def takes(self, size: Size) -> bool:
        """Whether it takes an image of a size; only shapes are computed."""

        def pooled() -> bool:
            body = self._body(size, "meta")
            images = torch.empty(1, 3, *size, device="meta")
            return body.forward_head(body.forward_features(images), pre_logits=True) is not None

        return self._tried(pooled)

    def reads_whole(self, size: Size) -> bool:
        """Whether it takes an image of a size and leaves none of its borders out."""
        return self._tried(lambda: unread_margins(self._body(size, "cpu"), size) == WHOLE)

    def _body(self, size: Size, device: str) -> Any:
        key = device, size if self._fixed else None
        if key not in self._built:
            with torch.device(device):
                self._built[key] = create_body(self._settings, size, pretrained=False).eval()
        return self._built[key]

    def _tried(self, trial: Callable[[], bool]) -> bool:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            try:
                return trial()
            except Exception:  # whatever a model makes of a size that it was not made for
                return False
