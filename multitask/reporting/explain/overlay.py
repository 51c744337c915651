"""A heat map laid over its image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from multitask.evaluation.evidence import Explanation

_LONG_PX = 224
"""The longer side of what is shown, unless the network sees more."""
_OPACITY = 0.7
_COLOURS = np.array(
    [(40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (250, 193, 39)],
    dtype=np.float32,
)
"""Matplotlib's inferno without its ends, in equal steps: it grows lighter, so that it is read without its hues too."""


def shown(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image at the size in which it is shown: (H, W, 3) to (h, w, 3)."""
    height, width = pixels.shape[:2]
    scale = max(1.0, _LONG_PX / max(height, width))
    image = Image.fromarray(pixels).resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    return np.asarray(image)


def framed(seen: NDArray[np.uint8], explanation: Explanation) -> NDArray[np.uint8]:
    """What is shown of an explanation, with its box, where it has one, drawn in two tones that show on any image."""
    if explanation.box is None:
        return seen
    scale = seen.shape[1] / explanation.pixels.shape[1]
    left, top, right, bottom = (float(edge) * scale for edge in explanation.box)
    image = Image.fromarray(seen)
    pen = ImageDraw.Draw(image)
    for inset, colour in enumerate(((255, 255, 255), (0, 0, 0))):
        edges = (left + inset, top + inset, right - 1 - inset, bottom - 1 - inset)
        if edges[2] > edges[0] and edges[3] > edges[1]:
            pen.rectangle(edges, outline=colour)
    return np.asarray(image)


def overlay(pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A heat map over the image in grey.

    Args:
        pixels: (H, W, 3) uint8.
        heat: (H, W) in [0, 1].

    Returns:
        (h, w, 3) uint8, as ``shown``.
    """
    whole = shown(pixels)
    height, width = whole.shape[:2]
    scaled = np.asarray(Image.fromarray(heat).resize((width, height), Image.Resampling.BILINEAR)).clip(0, 1)
    grey = np.repeat(np.asarray(Image.fromarray(whole).convert("L"), dtype=np.float32)[..., None], 3, axis=2)
    opacity = (_OPACITY * scaled)[..., None]
    return (grey * (1 - opacity) + _coloured(scaled) * opacity).round().astype(np.uint8)


def _coloured(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    places = np.linspace(0, 1, len(_COLOURS))
    return np.stack([np.interp(heat, places, channel) for channel in _COLOURS.T], axis=-1).astype(np.float32)
