"""The mask and the glasses of a portrait."""

from __future__ import annotations

import numpy as np

from multitask.data.synthetic.pen import CIRCLE, WHITE, Pen, mirrored
from multitask.data.synthetic.people import Colour, Person, mix

MASKS: tuple[Colour, ...] = (
    (236, 240, 244), (142, 190, 222), (40, 42, 48), (240, 178, 190), (120, 128, 138), (148, 196, 164), (64, 88, 148)
)  # fmt: skip


def draw_mask(pen: Pen, person: Person, state: str, rng: np.random.Generator) -> None:
    """A mask of a random kind, where the state (worn or incorrect) has it."""
    w = person.face_px
    jaw = w * person.jaw
    colour = MASKS[int(rng.integers(len(MASKS)))]
    edge = mix(colour, (30, 34, 44), 0.24)
    top, bottom, peak = 8.0 + rng.uniform(-2, 2), 71.0, 6.0
    if state == "incorrect":
        if rng.random() < 0.55:
            top, bottom, peak = 28.0 + rng.uniform(-1.5, 2.5), 77.0, 1.0
        else:
            top, bottom, peak = 54.0 + rng.uniform(-2, 2), 84.0, -2.0
    middle = (top + bottom) / 2
    side_x = np.interp(top, (8, 30, 55), (w * 0.94, w * 0.9, jaw * 0.86))
    low_x = np.interp(middle, (38, 52, 70), (jaw * 1.02, jaw * 0.95, jaw * 0.8))
    ear = w + 3
    for x, y, at in ((side_x, top + 4, -2), (low_x, middle + 9, 14)):
        for side in (-1, 1):
            pen.line(((side * x, y), (side * ear, at)), mix(colour, WHITE, 0.35), 2)
    upper = ((0, top - peak), (8, top - peak + 1), (side_x, top + 3))
    outline = mirrored((*upper, (low_x, middle + 8), (jaw * 0.55, bottom), (0, bottom)))
    pen.fill(outline, edge)
    inside = (outline - (0, middle)) * (0.96, 0.955) + (0, middle)
    pen.fill(inside, colour)
    if rng.random() < 0.7:
        for share in (0.35, 0.55, 0.75):
            y = top + (bottom - top) * share
            half = low_x * (0.92 if share < 0.6 else 0.74)
            pen.line(((-half, y - 2), (0, y + 2), (half, y - 2)), edge, 1.6)
    else:
        pen.line(((0, top - peak + 2), (1.5, middle), (0, bottom - 2)), edge, 1.8)


def draw_glasses(pen: Pen, person: Person) -> None:
    """The glasses, if there are any."""
    if person.glasses == "none":
        return
    colour = person.glasses_colour
    for side in (-1, 1):
        x = side * 19.5
        if person.glasses == "round":
            pen.line(CIRCLE * (14.5, 13.5) + (x, -7), colour, 2.4, closed=True)
        elif person.glasses == "square":
            pen.line(((x - 16, -19), (x + 16, -19), (x + 15, 6), (x - 15, 6)), colour, 2.8, closed=True)
        else:
            pen.line(((x - 15, -6), (x - 13, -18), (x + 13, -18), (x + 15, -6)), colour, 3.4)
        pen.line(((side * 33, -10), (side * (person.face_px + 1), -6)), colour, 2.2)
    pen.line(((-6, -9), (0, -11), (6, -9)), colour, 2.4)
