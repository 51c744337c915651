"""The traits of one invented person, drawn at random given a gender and an age.

Every trace of gender and age is left with a probability or blurred by its own noise, so that no single one settles the
label while all of them together nearly always do. The drawing itself is in ``drawing.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]  # red, green, blue; 0 to 255

SKINS: tuple[Colour, ...] = (
    (250, 221, 200), (243, 205, 175), (233, 188, 152), (220, 168, 128), (196, 142, 102), (164, 112, 78), (128, 85, 60)
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (32, 26, 28), (44, 32, 28), (66, 44, 32), (98, 62, 38), (134, 84, 46), (170, 108, 52), (206, 164, 92), (152, 62, 36)
)  # fmt: skip
EYES: tuple[Colour, ...] = ((70, 46, 30), (48, 34, 28), (96, 122, 70), (70, 112, 150), (92, 74, 52))
GREY: Colour = (214, 214, 218)
CLOTHES: tuple[Colour, ...] = (
    (52, 84, 140), (176, 58, 62), (62, 124, 92), (236, 232, 222), (54, 54, 62), (224, 168, 60), (126, 88, 150),
    (98, 154, 176), (214, 122, 110), (128, 104, 80),
)  # fmt: skip
BACKDROPS: tuple[Colour, ...] = (
    (188, 206, 222), (222, 208, 186), (176, 196, 172), (206, 186, 206), (152, 168, 192), (232, 222, 212),
    (134, 152, 150), (198, 150, 126), (112, 124, 152), (240, 214, 160),
)  # fmt: skip

# Ages run from 18 to 75; the shares of the bands 18-29, 30-59 and 60-75.
AGE_BANDS: tuple[tuple[int, int, float], ...] = ((18, 30, 0.40), (30, 60, 0.38), (60, 76, 0.22))


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour that is `share` (0 to 1) of the way from the first to the second."""
    a, b, c = (x + (y - x) * share for x, y in zip(first, second, strict=True))
    return a, b, c


@dataclass(frozen=True)
class Person:
    """One invented person: what stays the same from image to image. Strengths run from 0 (none) to 1 (full)."""

    gender: str  # male or female
    age: int  # years
    skin: Colour
    hair: Colour  # grey already mixed in
    streak: Colour  # of single strands
    hair_style: str  # short, crop, bald, long, bob, bun, tail, curly
    fringe: bool
    parting: float  # -1 left to 1 right
    receding: float  # strength
    curl: float  # 0 straight to 1: how wide long hair stands off
    face_px: float  # half the width of the face
    jaw: float  # the jaw's width over the face's
    neck: float  # the neck's width over the face's
    shoulder_px: float  # half the width
    eyes: Colour
    eye_px: float  # half the height of the opening
    brow_px: float  # thickness
    brow: Colour
    lashes: bool
    eyeshadow: Colour | None
    lips: Colour
    lip_px: float  # thickness of the lower lip
    nose: float  # width over the usual
    beard: str  # none, stubble, moustache, goatee, full
    beard_colour: Colour
    earrings: bool
    glasses: str  # none, round, square, half
    glasses_colour: Colour
    forehead: tuple[float, float, float]  # strength of each line
    crow: tuple[float, float, float]  # lines beside the eyes
    bags: float  # under the eyes
    folds: float  # from nose to mouth
    jowls: float  # from mouth to chin
    droop: float  # of the eyelids
    blush: float
    freckles: bool
    clothes: str  # tee, shirt, suit, vneck, hoodie, turtle
    clothes_colour: Colour
    clothes_trim: Colour
    backdrop: str  # plain, bokeh, stripes, window, shelves, hills
    backdrop_colour: Colour
    backdrop_trim: Colour


def gender_and_age(person: int, offset: tuple[float, float]) -> tuple[str, int]:
    """The gender and age of the `person`-th of a sequence in which any stretch is well spread over both.

    The points are Roberts' R2 sequence (extremelearning.com.au, 2018): plain chance would leave a small set without
    some of its classes, and a fixed quota would make one person depend on how many others there are.

    Args:
        person: from 0 on.
        offset: where the sequence starts, each in [0, 1).
    """
    where_gender = (offset[0] + person * 0.7548776662466927) % 1.0
    where_age = (offset[1] + person * 0.5698402909980532) % 1.0
    age = AGE_BANDS[-1][1] - 1
    for first, end, share in AGE_BANDS:
        if where_age < share:
            age = first + int(where_age / share * (end - first))
            break
        where_age -= share
    return ("male" if where_gender < 0.5 else "female"), age


def invent_person(gender: str, age: int, rng: np.random.Generator) -> Person:
    """All the traits of one person of this gender (male or female) and age in years."""
    man = gender == "male"
    looks = age + rng.normal(0.0, 0.5)  # years: some people look younger than they are, all over

    def chance(p: float) -> bool:
        return bool(rng.random() < p)

    def pick(colours: tuple[Colour, ...]) -> Colour:
        return colours[int(rng.integers(len(colours)))]

    def choose(*weighted: tuple[str, float]) -> str:
        names, weights = zip(*weighted, strict=True)
        return str(rng.choice(names, p=np.array(weights) / sum(weights)))

    def grown(onset: float, span: float, blur: float = 1.0) -> float:
        """A trace that starts at `onset` years and is full `span` years later, with a noise of `blur` years."""
        return float(np.clip((looks + rng.normal(0.0, blur) - onset) / span, 0.0, 1.0))

    skin = pick(SKINS)
    base = pick(HAIRS)
    grey = float(1.0 / (1.0 + np.exp(-(looks + rng.normal(0.0, 1.4) - 58.0) / 1.6)))
    if chance(0.06 if man else 0.12):
        grey *= 0.15  # dyed
    elif age >= 40 and chance(0.06):
        grey = max(grey, float(rng.uniform(0.4, 0.9)))  # early
    hair = mix(base, GREY, grey)

    receding = grown(30.0, 38.0, 9.0) * float(rng.uniform(0.3, 1.0)) if man else 0.0
    if man:
        style = choose(("short", 0.62), ("crop", 0.16), ("curly", 0.12), ("long", 0.05), ("bob", 0.03), ("tail", 0.02))
        if receding > 0.62 and style in ("short", "crop") and chance(0.6):
            style = "bald"
    else:
        style = choose(("long", 0.46), ("bob", 0.20), ("tail", 0.10), ("bun", 0.13), ("curly", 0.04), ("short", 0.07))
    fringe = receding < 0.2 and style in ("long", "bob", "tail", "short") and chance(0.10 if man else 0.25)

    beard = "none"
    if man and chance(0.6):
        beard = choose(("stubble", 0.4), ("moustache", 0.15), ("goatee", 0.2), ("full", 0.25))
    natural_lips = mix(mix(skin, (176, 72, 72), 0.38), skin, 0.15)
    lipstick = chance(0.65) and not man
    lips = pick(((196, 44, 62), (214, 92, 104), (176, 52, 92), (206, 80, 72))) if lipstick else natural_lips
    brow_base = mix(base, (30, 24, 24), 0.25)
    glasses_chance = 0.14 + 0.46 / (1.0 + float(np.exp(-(looks - 50.0) / 6.0)))
    return Person(
        gender=gender,
        age=age,
        skin=skin,
        hair=hair,
        streak=mix(hair, GREY if 0.06 < grey < 0.9 else (255, 236, 200), 0.75 if 0.06 < grey < 0.9 else 0.16),
        hair_style=style,
        fringe=fringe,
        parting=float(rng.uniform(-1, 1)),
        receding=receding,
        curl=float(rng.random()),
        face_px=float(rng.normal(47.0 if man else 44.5, 1.8)),
        jaw=float(np.clip(rng.normal(0.86 if man else 0.71, 0.03), 0.62, 0.95)),
        neck=float(rng.normal(0.66 if man else 0.49, 0.04)),
        shoulder_px=float(rng.normal(90.0 if man else 74.0, 4.0)),
        eyes=pick(EYES),
        eye_px=float(rng.normal(6.6 if man else 8.2, 0.5)),
        brow_px=float(np.clip(rng.normal(5.4 if man else 2.8, 0.7), 1.6, 7.5)),
        brow=mix(brow_base, GREY, grey * 0.8),
        lashes=chance(0.05 if man else 0.9),
        eyeshadow=pick(((168, 112, 176), (120, 150, 190), (186, 120, 110))) if not man and chance(0.4) else None,
        lips=lips,
        lip_px=float(rng.normal(4.6 if man else 7.2, 0.8)),
        nose=float(rng.normal(1.1 if man else 0.9, 0.09)),
        beard=beard,
        beard_colour=mix(base, GREY, float(np.clip(grey * 1.15, 0, 1))),
        earrings=chance(0.04 if man else 0.5),
        glasses=choose(("round", 0.4), ("square", 0.4), ("half", 0.2)) if chance(glasses_chance) else "none",
        glasses_colour=pick(((34, 32, 36), (96, 54, 32), (140, 40, 48), (90, 96, 110))),
        forehead=(grown(27.5, 5), grown(40, 10), grown(57, 5)),
        crow=(grown(27.5, 5), grown(44, 10), grown(57, 5)),
        bags=0.6 * grown(27.5, 5) + 0.4 * grown(56, 8),
        folds=0.6 * grown(27, 6) + 0.4 * grown(50, 12),
        jowls=grown(56, 7),
        droop=grown(54, 10, 3.0),
        blush=1.0 - grown(27, 6, 2.0),
        freckles=chance(0.16) and age < 45,
        clothes=choose(("tee", 0.28), ("shirt", 0.22), ("suit", 0.26 if man else 0.08), ("vneck", 0.08 if man else 0.3),
                       ("hoodie", 0.14), ("turtle", 0.1)),
        clothes_colour=pick(CLOTHES),
        clothes_trim=pick(CLOTHES),
        backdrop=choose(("plain", 0.3), ("bokeh", 0.18), ("stripes", 0.12), ("window", 0.14), ("shelves", 0.12),
                        ("hills", 0.14)),
        backdrop_colour=pick(BACKDROPS),
        backdrop_trim=pick(BACKDROPS),
    )  # fmt: skip
