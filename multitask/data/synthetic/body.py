"""The clothes and the neck of a portrait."""

from __future__ import annotations

from multitask.data.synthetic.pen import WHITE, Pen, mirrored
from multitask.data.synthetic.people import Colour, Person, mix


def draw_clothes(pen: Pen, person: Person) -> None:
    """Shoulders, clothes and their trim."""
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


def draw_neck(pen: Pen, person: Person) -> None:
    """The neck, its shadow, and the collar before it."""
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
