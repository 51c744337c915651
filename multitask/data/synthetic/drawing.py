"""Draws one image of one invented person: a cartoon portrait with or without a mask.

Every part is drawn over the last, from the backdrop to the glasses, in the face pixels that ``pen.py`` explains.
"""

from __future__ import annotations

import cv2
import numpy as np

from multitask.data.synthetic.accessories import draw_glasses, draw_mask
from multitask.data.synthetic.backdrop import draw_backdrop
from multitask.data.synthetic.body import draw_clothes, draw_neck
from multitask.data.synthetic.face import draw_age_lines, draw_cheeks_and_mouth, draw_eyes, draw_nose, draw_skull
from multitask.data.synthetic.hair import draw_hair_before, draw_hair_behind
from multitask.data.synthetic.pen import HEIGHT_PX, OVERSAMPLING, WIDTH_PX, Image, Pen
from multitask.data.synthetic.people import Person

MASK_STATES = ("worn", "incorrect", "none")


def draw_portrait(person: Person, mask: str, rng: np.random.Generator) -> Image:
    """One image of a person; pose, light, expression and the kind of mask are drawn from ``rng``.

    Args:
        person: whose traits it shows.
        mask: worn, incorrect (below the nose or under the chin) or none.
        rng: advanced by the call.

    Returns:
        (HEIGHT_PX, WIDTH_PX, 3) uint8, red first.
    """
    assert mask in MASK_STATES, mask
    canvas = np.empty((HEIGHT_PX * OVERSAMPLING, WIDTH_PX * OVERSAMPLING, 3), dtype=np.uint8)
    draw_backdrop(canvas, person, rng)
    centre = (WIDTH_PX / 2 + rng.uniform(-9, 9), 130 + rng.uniform(-8, 8))
    body = Pen(canvas, centre, float(rng.uniform(1.06, 1.2)), float(rng.normal(0.0, 0.03)))
    head = Pen(canvas, centre, body.scale, body.angle + float(rng.normal(0.0, 0.05)))
    face = head.moved(float(rng.normal(0.0, 2.2)), float(rng.normal(0.0, 1.2)))  # a slight turn shifts the features

    draw_clothes(body, person)
    draw_hair_behind(head, person)
    draw_neck(body, person)
    draw_skull(head, person)
    draw_age_lines(face, person)
    draw_cheeks_and_mouth(face, head, person, float(rng.uniform(-1.0, 5.0)))
    draw_nose(face, person)
    draw_eyes(face, person, float(rng.normal(0.0, 1.2)))
    if mask != "none":
        draw_mask(head.moved((face.centre[0] - head.centre[0]) * 0.6, 0.0), person, mask, rng)
    draw_hair_before(head, person)
    draw_glasses(face, person)
    return _lit(canvas, rng)


def _lit(canvas: Image, rng: np.random.Generator) -> Image:
    """The canvas reduced, under a light of some strength, direction and tint."""
    small = cv2.resize(canvas, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
    slope_x, slope_y = rng.uniform(-0.18, 0.18), rng.uniform(-0.14, 0.06)
    across = np.linspace(-slope_x, slope_x, WIDTH_PX, dtype=np.float32)[None, :]
    down = np.linspace(-slope_y, slope_y, HEIGHT_PX, dtype=np.float32)[:, None]
    light = across + down + np.float32(rng.uniform(0.86, 1.08))
    tinted = cv2.merge([light * np.float32(tint) for tint in rng.uniform(0.965, 1.035, 3)])
    # OpenCV's product rounds and clips in one pass; NumPy's takes four, and is slow on an axis of three.
    lit: Image = cv2.multiply(small, tinted, dtype=cv2.CV_8U)
    return lit
