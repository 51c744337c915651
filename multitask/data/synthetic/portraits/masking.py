"""A mask template worn by a face: warped onto its points, lit as the face is, with soft edges and a shadow below."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from multitask.data.synthetic.portraits.face import FaceFrame, Points
from multitask.data.synthetic.portraits.templates import MaskTemplate

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

DYES: tuple[Colour, ...] = (
    (236, 240, 244), (142, 190, 222), (44, 46, 52), (240, 178, 190), (120, 128, 138), (148, 196, 164), (64, 88, 148)
)  # fmt: skip
"""What a template is dyed in where it is worn again."""
_OVERSAMPLING = 2
_MARGIN = 0.4
"""Around the key points, as a share of what they span: how far straps and edges may reach."""
_GRID_PX = 8
"""Between the points at which the warp is computed; it is smooth, and linear in between."""
_MIDDLE_LUMA = 150.0
"""Of a face in good light, at which a template keeps its own brightness."""
_SHADOW = 0.25
_EDGE_SIGMA_PX = 0.6


def wear(
    pixels: Pixels,
    points: Points,
    template: MaskTemplate,
    place: NDArray[np.float64],
    rng: np.random.Generator,
    dye: Colour | None = None,
) -> Pixels:
    """A face with a mask.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        points: (5, 2) the face's landmarks in these pixels.
        template: the mask.
        place: (6, 3) where on the face its key points go, as ``WORN``; jittered a little.
        rng: advanced alike by every call.
        dye: the mask's colour, instead of its own.

    Returns:
        (H, W, 3) uint8.
    """
    frame = FaceFrame.of(points)
    goal = _jittered(frame, place, rng)
    height, width = pixels.shape[:2]
    reach = _MARGIN * np.ptp(goal, axis=0).max()
    left, top = np.floor(goal.min(axis=0) - reach).clip(0).astype(int)
    right, bottom = np.minimum(np.ceil(goal.max(axis=0) + reach), (width, height)).astype(int)
    if left >= right or top >= bottom:
        return pixels.copy()
    mask = _warped(template, goal, (left, top, right, bottom), dye)
    colour, alpha = mask[..., :3], mask[..., 3:]
    under = pixels[top:bottom, left:right].astype(np.float32)
    light = _light(pixels, points, frame)[top:bottom, left:right, None]
    shadow = cv2.GaussianBlur(alpha, (0, 0), max(1.0, 0.06 * frame.eye_px))[..., None]
    under = under * (1 - _SHADOW * shadow * (1 - alpha))
    worn = pixels.copy()
    worn[top:bottom, left:right] = np.rint(colour * light + under * (1 - alpha)).clip(0, 255).astype(np.uint8)
    return worn


def _jittered(frame: FaceFrame, place: NDArray[np.float64], rng: np.random.Generator) -> Points:
    """(6, 2) pixels of the key points, moved, scaled and turned a little, as no two masks are put on alike."""
    moved = place + np.array([*rng.normal(0.0, (0.02, 0.025)), 0.0])
    goal = frame.place(moved)
    centre = goal.mean(axis=0)
    scale, angle = 1 + float(rng.normal(0.0, 0.02)), float(rng.normal(0.0, 0.02))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    jittered: Points = (goal - centre) @ turn * scale + centre
    return jittered


def _warped(
    template: MaskTemplate, goal: Points, region: tuple[int, int, int, int], dye: Colour | None
) -> NDArray[np.float32]:
    """(h, w, 4) the template in a region of the image: colour from 0 to 255 times alpha, alpha from 0 to 1."""
    left, top, right, bottom = region
    source = template.pixels.astype(np.float32)
    alpha = source[..., 3:] / np.float32(255)
    colour = source[..., :3] if dye is None else _dyed(source[..., :3], alpha, dye)
    source = np.concatenate([colour * alpha, alpha], axis=2).astype(np.float32)
    at = template.points
    # Reduced first to about what is drawn: bilinear sampling would else skip pixels, and edges would be ragged.
    ratio = float(np.median(np.ptp(at, axis=0) / np.maximum(np.ptp(goal, axis=0), 1.0))) / _OVERSAMPLING
    if ratio > 1:
        size = (max(2, round(source.shape[1] / ratio)), max(2, round(source.shape[0] / ratio)))
        at = at * (np.array(size) / source.shape[1::-1])
        source = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
    w, h = (right - left) * _OVERSAMPLING, (bottom - top) * _OVERSAMPLING
    warp = ThinPlateSpline((goal - (left, top)) * _OVERSAMPLING, at)
    maps = warp.grid(w, h)
    drawn = cv2.remap(
        source, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0)
    )
    drawn = cv2.GaussianBlur(drawn, (0, 0), _EDGE_SIGMA_PX * _OVERSAMPLING)
    small: NDArray[np.float32] = cv2.resize(drawn, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return small


def _dyed(colour: NDArray[np.float32], alpha: NDArray[np.float32], dye: Colour) -> NDArray[np.float32]:
    """Its light and dark in another colour."""
    luma = _luma(colour)
    bright = float(np.quantile(luma[alpha[..., 0] > 0.5], 0.9)) if (alpha > 0.5).any() else 255.0
    share = (luma / max(bright, 1.0)).clip(0, 1.15)[..., None]
    dyed: NDArray[np.float32] = (share * np.array(dye, dtype=np.float32)).clip(0, 255).astype(np.float32)
    return dyed


def _light(pixels: Pixels, points: Points, frame: FaceFrame) -> NDArray[np.float32]:
    """(H, W) by which a mask is brightened: as the face is on the whole, and a little as its parts are."""
    luma = _luma(pixels.astype(np.float32))
    inside = np.zeros(luma.shape, dtype=np.uint8)
    corners = np.rint(points[[0, 1, 4, 3]]).astype(np.int32)
    cv2.fillConvexPoly(inside, corners, 1)
    face = float(np.median(luma[inside > 0])) if inside.any() else _MIDDLE_LUMA
    whole = np.clip((max(face, 1.0) / _MIDDLE_LUMA) ** 0.6, 0.45, 1.2)
    soft = cv2.GaussianBlur(luma, (0, 0), max(1.0, 0.45 * frame.eye_px))
    parts = ((soft / max(face, 1.0)) ** 0.4).clip(0.8, 1.15)
    light: NDArray[np.float32] = (whole * parts).astype(np.float32)
    return light


def _luma(colour: NDArray[np.float32]) -> NDArray[np.float32]:
    luma: NDArray[np.float32] = colour @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return luma


class ThinPlateSpline:
    """The smoothest map of the plane that takes some points to others (Bookstein, 1989).

    f(p) = a + B p + sum_k w_k U(|p - p_k|), with U(r) = r^2 log r and the w_k such that f is affine far away.

    Args:
        points: (K, 2) from.
        values: (K, 2) to.
    """

    def __init__(self, points: Points, values: Points) -> None:
        num = len(points)
        self._points = points
        known = np.concatenate([np.ones((num, 1)), points], axis=1)
        system = np.zeros((num + 3, num + 3))
        system[:num, :num] = _bend(points, points)
        system[:num, num:], system[num:, :num] = known, known.T
        self._weights = np.linalg.lstsq(system, np.concatenate([values, np.zeros((3, 2))]), rcond=None)[0]

    def __call__(self, at: Points) -> Points:
        """(N, 2) the values at (N, 2) points."""
        known = np.concatenate([_bend(at, self._points), np.ones((len(at), 1)), at], axis=1)
        values: Points = known @ self._weights
        return values

    def grid(self, width: int, height: int) -> NDArray[np.float32]:
        """(height, width, 2) the values at all pixels."""
        xs, ys = (np.append(np.arange(0, size - 1, _GRID_PX), size - 1) for size in (width, height))
        x, y = np.meshgrid(xs.astype(np.float64), ys.astype(np.float64))
        coarse = self(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(len(ys), len(xs), 2)
        across, down = _hats(xs, width), _hats(ys, height)
        values: NDArray[np.float32] = np.einsum("hy,yxc,wx->hwc", down, coarse, across, optimize=True).astype(
            np.float32
        )
        return values


def _bend(at: Points, points: Points) -> NDArray[np.float64]:
    """(N, K) U of the distances."""
    squares = ((at[:, None] - points[None]) ** 2).sum(axis=2)
    bend: NDArray[np.float64] = 0.5 * squares * np.log(np.maximum(squares, 1e-12))
    return bend


def _hats(knots: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """(size, K) the weights by which values at knots are interpolated at 0, 1, ..., size - 1."""
    hats: NDArray[np.float64] = np.stack([np.interp(np.arange(size), knots, row) for row in np.eye(len(knots))], axis=1)
    return hats
