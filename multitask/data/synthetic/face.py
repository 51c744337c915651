"""The face of a portrait, without hair, mask and glasses."""

from __future__ import annotations

import numpy as np

from multitask.data.synthetic.pen import INK, WHITE, Pen, Points, mirrored
from multitask.data.synthetic.people import Person, mix


def draw_skull(pen: Pen, person: Person) -> None:
    """Ears, earrings, the outline of the face, and the beard."""
    w, skin = person.face_px, person.skin
    shadow = mix(skin, (120, 50, 40), 0.2)
    for side in (-1, 1):
        pen.oval(side * (w + 2), 4, 8, 13, skin)
        pen.oval(side * (w + 3), 4, 4, 8, shadow)
        if person.earrings:
            pen.oval(side * (w + 4), 21, 3.4, 3.4, (250, 214, 110))
    jaw = w * person.jaw
    outline = mirrored(
        ((0, -67), (w * 0.62, -66), (w * 0.98, -44), (w * 1.03, -12), (w, 18), (jaw, 44), (jaw * 0.6, 64), (0, 67))
    )
    pen.fill(outline, shadow)
    pen.moved(0, -1.4).fill(outline * (0.975, 0.985), skin)
    if person.beard != "none":
        _beard(pen, person, w, jaw)


def _beard(pen: Pen, person: Person, w: float, jaw: float) -> None:
    colour = person.beard_colour
    if person.beard in ("full", "stubble"):
        cover = mix(person.skin, colour, 0.42 if person.beard == "stubble" else 1.0)
        drop = 0.0 if person.beard == "stubble" else 7.0
        outer = ((w * 1.0, -2), (w * 1.0, 20), (jaw, 45), (jaw * 0.62, 65 + drop), (0, 67 + drop))
        inner = ((0, 24), (20, 22), (30, 26), (w * 0.86, 12), (w * 0.9, -2))
        half = np.array((*outer, (0, 67 + drop), *inner))
        pen.fill(half, cover)
        pen.fill(half * (-1, 1), cover)
    elif person.beard == "goatee":
        pen.fill(mirrored(((0, 25), (19, 28), (20, 50), (13, 68), (0, 71))), colour)


def draw_age_lines(pen: Pen, person: Person) -> None:
    """Creases of the forehead, around the eyes and beside the mouth."""
    ink = mix(person.skin, (70, 24, 20), 0.72)

    def crease(points: Points, strength: float, width_px: float = 2.8) -> None:
        if strength > 0.03:
            pen.line(points, mix(person.skin, ink, strength), width_px)

    for y, half, strength in zip((-36, -44, -51), (25, 22, 17), person.forehead, strict=True):
        crease(((-half, y + 1), (-half / 2, y - 2), (half / 2, y - 2), (half, y + 1)), strength)
    for side in (-1, 1):
        x = side * 33
        for (y, rise), strength in zip(((-6, 0), (-10, -5), (-2, 5)), person.crow, strict=True):
            crease(((x, y), (x + side * 9, y + rise)), strength, 2.6)
        crease(((side * 12, 5), (side * 20, 9), (side * 28, 4)), person.bags, 3.2)
        crease(((side * 13, 16), (side * 21, 24), (side * 23, 34)), person.folds, 3.0)
        crease(((side * 19, 42), (side * 22, 50), (side * 18, 57)), person.jowls, 2.8)


def draw_cheeks_and_mouth(face: Pen, head: Pen, person: Person, smile: float) -> None:
    """Cheeks, freckles, lips and moustache; ``smile`` is how many pixels the corners of the mouth rise."""
    for side in (-1, 1):
        rosy = mix(person.skin, (240, 84, 92), 0.5 * person.blush)
        face.oval(side * 31, 9, 9.5, 6.5, rosy)
        if person.freckles:
            for x, y in ((24, 7), (29, 10), (34, 7), (27, 14), (32, 14)):
                face.oval(side * x, y, 1.2, 1.2, mix(person.skin, (140, 70, 40), 0.6))
    if person.beard in ("goatee", "full"):
        face.oval(0, 41, 15, 7, mix(person.skin, (120, 50, 40), 0.1))
    thick, lips = person.lip_px, person.lips
    dark = mix(lips, (70, 16, 20), 0.5)
    upper = ((-16, 38 - smile), (-6, 38 - thick * 0.7), (0, 39 - thick * 0.4), (6, 38 - thick * 0.7), (16, 38 - smile))
    lower = ((10, 40 + thick), (0, 41 + thick + smile * 0.4), (-10, 40 + thick))
    face.fill(upper + lower, lips)
    face.line(((-17, 38 - smile), (-6, 40), (6, 40), (17, 38 - smile)), dark, 1.8)
    if person.beard in ("moustache", "goatee", "full"):
        face.fill(mirrored(((0, 25), (9, 26), (21, 35), (16, 36), (0, 33))), person.beard_colour)


def draw_nose(pen: Pen, person: Person) -> None:
    """Bridge, tip and nostrils."""
    shadow, half = mix(person.skin, (120, 50, 30), 0.38), 8.5 * person.nose
    pen.line(((3, -6), (5, 6), (half, 17)), mix(person.skin, shadow, 0.55), 2)
    pen.oval(0, 16.5, half, 5.4, mix(person.skin, shadow, 0.3))
    pen.oval(0, 14.6, half * 0.75, 4.6, mix(person.skin, WHITE, 0.08))
    for side in (-1, 1):
        pen.oval(side * half * 0.5, 19.5, 1.9, 1.4, mix(shadow, INK, 0.4))


def draw_eyes(pen: Pen, person: Person, gaze: float) -> None:
    """Lids, irises, lashes and brows; ``gaze`` is by how many pixels the irises look aside."""
    half_y = person.eye_px * (1.0 - 0.22 * person.droop)
    lid = mix(person.skin, (110, 50, 40), 0.22)
    for side in (-1, 1):
        x = side * 19.0
        if person.eyeshadow is not None:
            pen.oval(x, -11, 12.5, half_y + 2.5, mix(person.skin, person.eyeshadow, 0.7))
        else:
            pen.oval(x, -9.6, 11.6, half_y + 1.6, lid)
        pen.oval(x, -8, 10.4, half_y, (250, 250, 248))
        pen.oval(x + gaze, -8, 5.4, min(5.6, half_y), person.eyes)
        pen.oval(x + gaze, -8, 2.7, 2.9, (18, 14, 14))
        pen.oval(x + gaze - 1.8, -10.2, 1.5, 1.5, WHITE)
        arch = ((x - 11, -7), (x - 6, -9 - half_y), (x + 6, -9 - half_y), (x + 11, -7))
        pen.line(arch, INK, 3.4 if person.lashes else 1.4)
        if person.lashes:
            for out, up in ((11, 5), (8.5, 8)):
                root = (x + side * out, -8 - half_y * 0.45)
                pen.line((root, (root[0] + side * 4, root[1] - up * 0.6)), INK, 2.4)
        if person.droop > 0.15:
            sag = ((x - side * 8, -12 - half_y), (x + side * 6, -12 - half_y), (x + side * 13, -6))
            pen.line(sag, mix(person.skin, lid, 0.4 + 0.6 * person.droop), 2.4)
        brow_y = -25.0 + person.brow_px * 0.3
        bend = ((x - side * 11, brow_y + 3), (x - side * 2, brow_y - 2), (x + side * 6, brow_y - 3))
        pen.line((*bend, (x + side * 13, brow_y + 3)), person.brow, person.brow_px)
