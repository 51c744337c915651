"""The backdrop of a portrait."""

from __future__ import annotations

import cv2
import numpy as np

from multitask.data.synthetic.pen import WHITE, WIDTH_PX, Image, Pen
from multitask.data.synthetic.people import Colour, Person, mix


def draw_backdrop(canvas: Image, person: Person, rng: np.random.Generator) -> None:
    """The wall or view behind the person, of some brightness; fills the canvas."""
    bright = float(rng.uniform(-0.28, 0.22))
    towards: Colour = WHITE if bright > 0 else (24, 26, 34)
    colour, trim = (mix(c, towards, abs(bright)) for c in (person.backdrop_colour, person.backdrop_trim))
    shade = np.linspace(1.05, 0.85, canvas.shape[0], dtype=np.float32)[:, None]
    column = np.clip(shade * np.array(colour, dtype=np.float32), 0, 255).astype(np.uint8)[:, None, :]
    cv2.resize(column, canvas.shape[1::-1], dst=canvas, interpolation=cv2.INTER_NEAREST)
    pen = Pen(canvas, (float(rng.uniform(-12, 12)), float(rng.uniform(-8, 8))), 1.0, 0.0)
    dim = mix(colour, (40, 40, 52), 0.14)
    if person.backdrop == "bokeh":
        for _ in range(9):
            radius = rng.uniform(8, 26)
            spot = mix(colour, trim if rng.random() < 0.6 else WHITE, 0.45)
            pen.oval(rng.uniform(0, WIDTH_PX), rng.uniform(0, 200), radius, radius, spot)
    elif person.backdrop == "stripes":
        for x in range(-30, 240, 30):
            pen.fill(((x, -20), (x + 14, -20), (x + 14, 290), (x, 290)), mix(colour, trim, 0.4), rounded=False)
    elif person.backdrop == "window":
        pen.fill(((116, 14), (214, 14), (214, 150), (116, 150)), mix(trim, WHITE, 0.5), rounded=False)
        for bar in (((116, 14), (116, 150)), ((116, 150), (214, 150)), ((164, 14), (164, 150)), ((116, 78), (214, 78))):
            pen.line(bar, dim, 3)
    elif person.backdrop == "shelves":
        for y in (50, 112, 174):
            left = -20.0
            while left < 220:
                right, top = left + rng.uniform(6, 13), y - rng.uniform(28, 46)
                book = mix(colour, (trim, dim, WHITE, person.clothes_trim)[int(rng.integers(4))], 0.5)
                pen.fill(((left, top), (right, top), (right, y), (left, y)), book, rounded=False)
                left = right + rng.uniform(0.5, 5.0)
            pen.line(((-20, y + 2), (220, y + 2)), mix(dim, (70, 50, 36), 0.5), 5)
    elif person.backdrop == "hills":
        pen.oval(38, 44, 17, 17, mix(WHITE, (255, 226, 140), 0.5))
        far, near = mix(trim, (96, 140, 120), 0.5), mix(trim, (72, 118, 84), 0.7)
        pen.fill(((-40, 300), (-40, 140), (30, 110), (90, 150), (160, 96), (240, 150), (240, 300)), far)
        pen.fill(((-40, 300), (-40, 190), (60, 160), (140, 200), (240, 170), (240, 300)), near)
