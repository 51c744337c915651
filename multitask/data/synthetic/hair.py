"""The hair of a portrait."""

from __future__ import annotations

import numpy as np

from multitask.data.synthetic.pen import Pen, mirrored
from multitask.data.synthetic.people import Person, mix


def draw_hair_behind(pen: Pen, person: Person) -> None:
    """The hair that the head hides: long hair, a bun, a tail."""
    w, style = person.face_px, person.hair_style
    colour = mix(person.hair, (10, 8, 12), 0.22)
    wide = w + 9 + 9 * person.curl
    if style in ("long", "bob"):
        end = 104.0 if style == "long" else 58.0
        upper = ((0, -84), (w, -78), (wide, -30), (wide + 3, 20))
        pen.fill(mirrored((*upper, (wide + 2, end - 8), (w - 4, end), (0, end))), colour)
    elif style == "curly":
        for angle in np.linspace(-0.25, np.pi + 0.25, 11):
            pen.oval(np.cos(angle) * (w + 3), -26 - np.sin(angle) * 44, 17, 17, colour)
    elif style == "bun":
        pen.oval(0, -90, 20, 17, colour)
        pen.oval(-3, -93, 12, 9, person.hair)
    elif style == "tail":
        side = 1 if person.parting > 0 else -1
        pen.fill(((side * w * 0.5, -70), (side * (w + 20), -46), (side * (w + 26), 20), (side * (w + 12), 92),
                  (side * (w + 2), 30), (side * w * 0.8, -20)), colour)  # fmt: skip


def draw_hair_before(pen: Pen, person: Person) -> None:
    """The hair over forehead, temples and cheeks."""
    w, colour, style = person.face_px, person.hair, person.hair_style
    gone = person.receding
    if style == "bald":
        for side in (-1, 1):
            outside = ((side * (w + 5), 4), (side * (w + 7), -20), (side * w, -44))
            pen.fill((*outside, (side * w * 0.86, -34), (side * (w - 3), -6)), colour)
        return
    rise = {"crop": 73.0, "short": 80.0}.get(style, 79.0)
    line = 30.0 if person.fringe else 50.0
    crest = person.parting * 0.3 * w
    outer = ((-w - 4, -2), (-w - 7, -30), (-w - 1, -58), (-w * 0.55, -rise), (0, -rise - 5), (w * 0.55, -rise),
             (w + 1, -58), (w + 7, -30), (w + 4, -2))  # fmt: skip
    corner, temple = line - 4 + 24 * gone, (30 if not person.fringe else 22) + 26 * gone
    inner = ((w - 1, -10), (w * 0.86, -temple), (w * 0.5, -corner), (crest, -line - 8 - 6 * gone), (-w * 0.5, -corner),
             (-w * 0.86, -temple), (-w + 1, -10))  # fmt: skip
    pen.fill(outer + inner, colour)
    if style == "curly":
        for x in np.linspace(-w * 0.9, w * 0.9, 8):
            pen.oval(x, -56 - 12 * np.cos(x / w * 1.3) - 6 * gone, 11, 10, colour)
    if style in ("long", "bob"):
        end = 84.0 if style == "long" else 50.0
        for side in (-1, 1):
            inside = ((side * w * 0.7, -52), (side * w * 0.93, -20), (side * w * 0.97, 30), (side * (w + 1), end))
            wave = side * (w + 12 + 5 * person.curl)
            pen.fill((*inside, (side * (w + 12), end - 4), (wave, 10), (side * (w + 6), -44)), colour)
            pen.line(((side * (w + 4), -30), (side * (w + 6), 10), (side * (w + 6), end - 12)), person.streak, 2.4)
    for x in (-0.75, -0.45, 0.4, 0.72):
        strand = ((x * w * 0.55, -rise + 1), (x * w * 0.9, -rise + 10), (x * w * 1.18, -corner + 2))
        pen.line(strand, person.streak, 2.6)
