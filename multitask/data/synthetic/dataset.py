"""Draws a synthetic set in the mask competition's layout, so that everything can be tried without the licensed data.

The people are invented in ``people.py`` and drawn in ``drawing.py``; the layout on disk:

    train/train.csv            id,gender,race,age,path
    train/images/{path}/       mask1 to mask5, incorrect_mask and normal, each .jpg, .jpeg or .png
    eval/info.csv              ImageID,ans: other people's images in no order, every ans 0
    eval/images/{ImageID}
    answers.csv                ImageID,ans,group: the true classes in info.csv's order, and whose image it is
    noise.csv                  path,field,from,to: every wrong label that was planted, from the truth to what is written
    synth.json                 what the set was drawn from
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multitask.data.synthetic.drawing import draw_portrait
from multitask.data.synthetic.layout import (
    IMAGES,
    check_people,
    check_seed,
    complete_or_absent,
    draw_extension,
    person_folder,
    quarter,
    save_image,
    true_class,
    write_csv,
    write_eval_tables,
    write_text,
    write_train_table,
)
from multitask.data.synthetic.people import gender_and_age, invent_person
from multitask.errors import UserError

# Raise it whenever the same arguments come to give other files.
DRAWING_VERSION = 1

RACE = "Drawn"  # the column must be there, and these people have none

# The random streams of one seed. Training and eval people have a stream each, so that a set with more of the one has
# the same of the other.
_TRAIN, _EVAL, _ORDER, _NOISE = range(4)


@dataclass(frozen=True)
class DrawnSet:
    """The folder and the counts of a drawn set."""

    root: Path
    num_people: int
    num_eval_people: int
    num_images: int
    num_eval_images: int
    num_wrong_labels: int


def draw_set(
    root: Path,
    *,
    people: int,
    seed: int = 0,
    noise: float = 0.0,
    eval_people: int | None = None,
    on_person: Callable[[int, int], None] | None = None,
) -> DrawnSet:
    """Draws a set into a new folder. The same arguments give the same bytes.

    All is drawn into a hidden folder and moved into place at the end: a drawing that fails or is stopped leaves
    nothing that could be taken for a set.

    Args:
        root: the folder to make; it may exist if it is empty.
        people: how many people to train on, at least 1; 7 images each.
        seed: at least 0.
        noise: the fraction, 0 to 1, of the training people whose gender is written wrong, in train.csv and in the
            folder's name alike: round(noise * people) of them. The images and the eval people stay true.
        eval_people: how many other people to test on, at least 1; by default a quarter of `people`.
        on_person: called with (people done, people in all) after each person.

    Raises:
        UserError: `root` is a file or not empty, or an argument breaks its rule; nothing has been drawn then.
    """
    if eval_people is None:
        eval_people = quarter(people)
    check_people(people, eval_people)
    check_seed(seed)
    if not 0.0 <= noise <= 1.0:  # NaN too
        raise UserError(f"--noise: must be a fraction from 0 to 1, found {noise}")
    with complete_or_absent(root) as folder:
        num_wrong, total = round(noise * people), people + eval_people
        wrong = np.random.default_rng([seed, _NOISE]).permutation(people)[:num_wrong]

        def report(done: int) -> None:
            if on_person is not None:
                on_person(done, total)

        num_images = _draw_train(folder, people, seed, frozenset(wrong.tolist()), report)
        num_eval_images = _draw_eval(folder, eval_people, seed, lambda done: report(people + done))
        origin = {"people": people, "eval_people": eval_people, "seed": seed, "noise": noise}
        write_text(folder / "synth.json", json.dumps({**origin, "drawing_version": DRAWING_VERSION}, indent=2) + "\n")
    return DrawnSet(root, people, eval_people, num_images, num_eval_images, num_wrong)


def _draw_train(folder: Path, people: int, seed: int, wrong: frozenset[int], report: Callable[[int], None]) -> int:
    """Writes train/ and noise.csv; returns the number of images."""
    rows: list[tuple[str, ...]] = []
    planted: list[tuple[str, ...]] = []
    num_images = 0
    for index in range(people):
        true_gender, age, images = _drawings(seed, _TRAIN, index)
        gender = true_gender
        if index in wrong:
            gender = "female" if true_gender == "male" else "male"
        number = f"{index + 1:06d}"
        path = person_folder(number, gender, RACE, age)
        if index in wrong:
            planted.append((path, "gender", true_gender, gender))
        rows.append((number, gender, RACE, str(age), path))
        (folder / "train" / "images" / path).mkdir(parents=True)
        for image in images:
            save_image(image.pixels, folder / "train" / "images" / path / (image.stem + image.extension))
            num_images += 1
        report(index + 1)
    write_train_table(folder, rows)
    write_csv(folder / "noise.csv", ("path", "field", "from", "to"), planted)
    return num_images


def _draw_eval(folder: Path, people: int, seed: int, report: Callable[[int], None]) -> int:
    """Writes eval/ and answers.csv; returns the number of images."""
    (folder / "eval" / "images").mkdir(parents=True)
    answers: list[tuple[str, str, str]] = []
    for index in range(people):
        gender, age, images = _drawings(seed, _EVAL, index)
        for image in images:
            name = image.code + image.extension
            save_image(image.pixels, folder / "eval" / "images" / name)
            answers.append((name, str(true_class(image.mask, gender, age)), f"eval-{index + 1:06d}"))
        report(index + 1)
    write_eval_tables(folder, answers, (seed, _ORDER))
    return len(answers)


@dataclass(frozen=True)
class _Drawing:
    stem: str
    mask: str
    extension: str
    code: str  # 40 hex digits that say nothing of what is to be seen
    pixels: np.ndarray  # (H, W, 3) uint8


def _drawings(seed: int, stream: int, index: int) -> tuple[str, int, Iterator[_Drawing]]:
    """The true gender and age of one person, and the images, drawn one by one as they are asked for."""
    start = np.random.default_rng([seed, stream]).random(2)
    gender, age = gender_and_age(index, (float(start[0]), float(start[1])))
    # One generator per person: nobody's face depends on who was drawn before.
    rng = np.random.default_rng([seed, stream, index])
    person = invent_person(gender, age, rng)

    def drawn() -> Iterator[_Drawing]:
        for stem, mask in IMAGES:
            extension = draw_extension(rng)
            yield _Drawing(stem, mask, extension, rng.bytes(20).hex(), draw_portrait(person, mask, rng))

    return gender, age, drawn()
