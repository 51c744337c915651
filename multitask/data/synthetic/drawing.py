"""Draws one picture of one invented person: a cartoon portrait with or without a mask.

Every part is drawn over the last, from the backdrop to the glasses, in the face pixels that `pen.py` explains.
"""

from __future__ import annotations

import cv2
import numpy as np

from multitask.data.synthetic.pen import CIRCLE, OVERSAMPLING, Image, Pen, Points, mirrored
from multitask.data.synthetic.people import Colour, Person, mix

WIDTH_PX, HEIGHT_PX = 192, 256
MASK_STATES = ("worn", "incorrect", "none")

WHITE: Colour = (255, 255, 255)
INK: Colour = (42, 30, 30)
MASKS: tuple[Colour, ...] = (
    (236, 240, 244), (142, 190, 222), (40, 42, 48), (240, 178, 190), (120, 128, 138), (148, 196, 164), (64, 88, 148)
)  # fmt: skip


def draw_portrait(person: Person, mask: str, rng: np.random.Generator) -> Image:
    """One picture of a person; pose, light, expression and the mask's kind are drawn from `rng`.

    Args:
        person: who.
        mask: worn, incorrect (below the nose or under the chin) or none.
        rng: advanced by the call.

    Returns:
        (HEIGHT_PX, WIDTH_PX, 3) uint8, red first.
    """
    assert mask in MASK_STATES, mask
    canvas = np.empty((HEIGHT_PX * OVERSAMPLING, WIDTH_PX * OVERSAMPLING, 3), dtype=np.uint8)
    _backdrop(canvas, person, rng)
    centre = (WIDTH_PX / 2 + rng.uniform(-9, 9), 130 + rng.uniform(-8, 8))
    body = Pen(canvas, centre, float(rng.uniform(1.06, 1.2)), float(rng.normal(0.0, 0.03)))
    head = Pen(canvas, centre, body.scale, body.angle + float(rng.normal(0.0, 0.05)))
    face = head.moved(float(rng.normal(0.0, 2.2)), float(rng.normal(0.0, 1.2)))  # a slight turn shifts the features

    _clothes(body, person)
    _hair_behind(head, person)
    _neck(body, person)
    _skull(head, person)
    _age_lines(face, person)
    _cheeks_and_mouth(face, head, person, float(rng.uniform(-1.0, 5.0)))
    _nose(face, person)
    _eyes(face, person, float(rng.normal(0.0, 1.2)))
    if mask != "none":
        _mask(head.moved((face.centre[0] - head.centre[0]) * 0.6, 0.0), person, mask, rng)
    _hair_before(head, person)
    _glasses(face, person)
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


def _backdrop(canvas: Image, person: Person, rng: np.random.Generator) -> None:
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


def _clothes(pen: Pen, person: Person) -> None:
    wide, colour, trim = person.shoulder_px, person.clothes_colour, person.clothes_trim
    dark = mix(colour, (20, 20, 30), 0.3)
    if person.clothes == "hoodie":
        pen.fill(mirrored(((0, 52), (46, 56), (60, 90), (50, 120), (0, 130))), dark)
    pen.fill(mirrored(((0, 84), (26, 86), (wide * 0.8, 98), (wide, 116), (wide + 8, 190), (0, 190))), colour)
    if person.clothes == "suit":
        pen.fill(((-26, 84), (26, 84), (0, 170)), (244, 244, 246), rounded=False)
        pen.fill(((-6, 92), (6, 92), (8, 170), (-8, 170)), trim, rounded=False)
        for side in (-1, 1):
            pen.fill(((side * 22, 80), (side * 34, 88), (side * 30, 112), (side * 8, 160)), dark, rounded=False)
    elif person.clothes == "hoodie":
        for side in (-1, 1):
            pen.line(((side * 16, 100), (side * 18, 116), (side * 16, 134)), mix(colour, WHITE, 0.6), 2.5)


def _neck(pen: Pen, person: Person) -> None:
    half, colour = person.face_px * person.neck, person.clothes_colour
    shadow = mix(person.skin, (90, 40, 30), 0.22)
    if person.clothes == "vneck":
        pen.fill(((-half - 8, 86), (half + 8, 86), (0, 134)), person.skin)
    elif person.clothes in ("tee", "hoodie"):
        pen.fill(mirrored(((0, 84), (half + 6, 86), (half, 98), (0, 106))), mix(colour, (20, 20, 30), 0.25))
        pen.fill(mirrored(((0, 82), (half + 3, 84), (half - 4, 95), (0, 101))), person.skin)
    pen.fill(((-half, 20), (half, 20), (half, 82), (half + 5, 92), (-half - 5, 92), (-half, 82)), person.skin)
    pen.fill(((-half, 40), (half, 40), (half, 66), (0, 82), (-half, 66)), shadow)
    if person.jowls > 0.2:
        pen.line(((-half + 4, 84), (0, 88), (half - 4, 84)), mix(person.skin, shadow, person.jowls), 2)
    if person.clothes == "turtle":
        pen.fill(((-half - 4, 74), (half + 4, 74), (half + 8, 100), (-half - 8, 100)), mix(colour, WHITE, 0.12))
    elif person.clothes in ("shirt", "suit"):
        collar: Colour = (250, 250, 250) if person.clothes == "suit" else mix(colour, WHITE, 0.3)
        for side in (-1, 1):
            flap = ((side * half, 78), (side * (half + 8), 86), (side * (half - 6), 108), (0, 95))
            pen.fill(flap, collar, rounded=False)


def _skull(pen: Pen, person: Person) -> None:
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


def _age_lines(pen: Pen, person: Person) -> None:
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


def _cheeks_and_mouth(face: Pen, head: Pen, person: Person, smile: float) -> None:
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


def _nose(pen: Pen, person: Person) -> None:
    shadow, half = mix(person.skin, (120, 50, 30), 0.38), 8.5 * person.nose
    pen.line(((3, -6), (5, 6), (half, 17)), mix(person.skin, shadow, 0.55), 2)
    pen.oval(0, 16.5, half, 5.4, mix(person.skin, shadow, 0.3))
    pen.oval(0, 14.6, half * 0.75, 4.6, mix(person.skin, WHITE, 0.08))
    for side in (-1, 1):
        pen.oval(side * half * 0.5, 19.5, 1.9, 1.4, mix(shadow, INK, 0.4))


def _eyes(pen: Pen, person: Person, gaze: float) -> None:
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


def _mask(pen: Pen, person: Person, state: str, rng: np.random.Generator) -> None:
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


def _hair_behind(pen: Pen, person: Person) -> None:
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


def _hair_before(pen: Pen, person: Person) -> None:
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


def _glasses(pen: Pen, person: Person) -> None:
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
