"""Makes a mask set from portraits, in the competition's layout and with the answers beside it.

Beside the files that a drawn set has (``data/synthetic/dataset.py``), without ``noise.csv``:

    portraits.csv              person,portrait,incorrect: whose portrait is whose, and how the mask is worn wrong
    skipped.csv                portrait: those in which no face was found
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from multitask.data.synthetic.layout import (
    IMAGES,
    check_people,
    check_range,
    check_seed,
    complete_or_absent,
    draw_extension,
    person_folder,
    save_image,
    true_class,
    write_csv,
    write_eval_tables,
    write_text,
    write_train_table,
)
from multitask.data.synthetic.portraits.face import INCORRECT, WORN
from multitask.data.synthetic.portraits.framing import cut_part, enlarged, lit
from multitask.data.synthetic.portraits.landmarks import find_points, open_detector, open_portrait
from multitask.data.synthetic.portraits.masking import DYES, Pixels, wear
from multitask.data.synthetic.portraits.selection import Choice, Chosen, Numbers, check_enough, choose_people
from multitask.data.synthetic.portraits.table import read_portraits
from multitask.data.synthetic.portraits.templates import MaskTemplate, read_templates
from multitask.errors import UserError
from multitask.utils.threads import threads

# Raise it whenever the same request comes to give other files.
VERSION = 1
RACE = "Unknown"  # the column must be there
SMALLEST_PX, LARGEST_PX = 32, 4096
MOST_WORKERS = 256
_ORDER, _PERSON, _EVAL_ORDER = range(3)
"""The random streams of one seed. A person's images depend on the row in the table, not on who else is in the set."""

Stage = Callable[[str, int, str], Callable[[int], None]]
"""Begins a stage, given its name, the number of its units and what they are; returns what is told how many are done."""


@dataclass(frozen=True)
class Request:
    """What a set is made of.

    Attributes:
        table: of portraits, CSV or Parquet: path, age, gender; and landmarks, where they are known.
        masks: the folder of templates.
        yunet: YuNet's ONNX file, for portraits without landmarks.
        people: how many train, seven images each; None: all that are not in eval.
        eval_people: how many others are in eval; None: a quarter as many.
        mix: weights of ``selection.CELLS``; None: as the table has them.
        size: width and height of the images, in pixels.
        seed: at least 0.
        strict: whether a portrait without a face is an error, rather than passed over.
        workers: threads; the files are the same for any number.
    """

    table: Path
    masks: Path
    yunet: Path | None = None
    people: int | None = None
    eval_people: int | None = None
    mix: Sequence[float] | None = None
    size: tuple[int, int] = (384, 512)
    seed: int = 0
    strict: bool = False
    workers: int = 1

    def check(self) -> None:
        """Checks the numbers.

        Raises:
            UserError: one is out of its range.
        """
        check_people(self.people, self.eval_people)
        check_seed(self.seed)
        check_range("--workers", self.workers, 1, MOST_WORKERS)
        for side in self.size:
            check_range("--size", side, SMALLEST_PX, LARGEST_PX)
        if self.mix is not None and self.people is None:
            raise UserError("--mix: needs --people, how many are to be mixed so")


@dataclass(frozen=True)
class PortraitSet:
    """The counts of a set that was made, and the portraits that were passed over, as the table names them."""

    num_people: int
    num_eval_people: int
    num_images: int
    num_eval_images: int
    faceless: tuple[str, ...]


def make_set(root: Path, request: Request, stage: Stage | None = None) -> PortraitSet:
    """Makes a set in a new folder, whole or not at all. The same request gives the same bytes.

    Args:
        root: the folder to make; it may exist if it is empty.
        request: what it is made of.
        stage: told of the progress.

    Raises:
        UserError: ``root`` is not empty, or the request cannot be met; nothing has been made then.
    """
    request.check()
    stage = stage or (lambda name, total, unit: lambda done: None)
    with complete_or_absent(root) as folder:
        portraits = read_portraits(request.table)
        templates = read_templates(request.masks)
        detector = open_detector(request.yunet, portraits, request.table)
        numbers = Numbers.of(len(portraits), request.people, request.eval_people)
        check_enough(portraits, numbers, request.mix)
        with threads(request.workers) as pool:
            choice = choose_people(
                portraits,
                lambda some: list(pool.map(lambda portrait: find_points(portrait, detector), some)),
                numbers,
                request.mix,
                (request.seed, _ORDER),
                stage("finding faces", numbers.total, "portraits"),
            )
            if request.strict and choice.faceless:
                others = len(choice.faceless) - 1
                more = f" (nor in {others:,} more)" if others else ""
                raise UserError(f"{choice.faceless[0].path}: no face is seen from the front{more}")
            total = len(choice.train) + len(choice.eval)
            made = stage("putting masks on", total, "people")
            write = partial(_write_person, folder, request, templates)
            jobs = [(chosen, f"{i + 1:06d}", False) for i, chosen in enumerate(choice.train)]
            jobs += [(chosen, f"eval-{i + 1:06d}", True) for i, chosen in enumerate(choice.eval)]
            (folder / "eval" / "images").mkdir(parents=True)
            written: list[_Written] = []
            for record in pool.map(write, jobs):
                written.append(record)
                made(len(written))
        _write_tables(folder, request, choice, templates, written)
    return PortraitSet(
        len(choice.train),
        len(choice.eval),
        len(choice.train) * len(IMAGES),
        len(choice.eval) * len(IMAGES),
        tuple(portrait.name for portrait in choice.faceless),
    )


@dataclass(frozen=True)
class _Written:
    """One person's rows: of train.csv, of answers.csv, where the person is in eval, and of portraits.csv."""

    person: str
    row: tuple[str, str, str, str, str]
    answers: list[tuple[str, str, str]]
    incorrect: str


def _write_person(
    folder: Path, request: Request, templates: Sequence[MaskTemplate], job: tuple[Chosen, str, bool]
) -> _Written:
    """Makes and writes the images of one person."""
    chosen, number, is_eval = job
    portrait = chosen.portrait
    rng = np.random.default_rng([request.seed, _PERSON, portrait.row])
    path = person_folder(number, portrait.gender, RACE, portrait.age)
    if not is_eval:
        (folder / "train" / "images" / path).mkdir(parents=True)
    incorrect = str(rng.choice(list(INCORRECT)))
    answers: list[tuple[str, str, str]] = []
    for (stem, mask), pixels in zip(IMAGES, _images(chosen, request, templates, incorrect, rng), strict=True):
        extension, code = draw_extension(rng), rng.bytes(20).hex()
        name = code + extension if is_eval else stem + extension
        save_image(pixels, folder / ("eval/images" if is_eval else f"train/images/{path}") / name)
        if is_eval:
            answers.append((name, str(true_class(mask, portrait.gender, portrait.age)), number))
    row = (number, portrait.gender, RACE, str(portrait.age), path)
    return _Written(number if is_eval else path, row, answers, incorrect)


def _images(
    chosen: Chosen, request: Request, templates: Sequence[MaskTemplate], incorrect: str, rng: np.random.Generator
) -> Iterator[Pixels]:
    """The images of one person, in the order of ``IMAGES``."""
    image, full = open_portrait(chosen.portrait.path, 2 * max(request.size))
    points = chosen.points * (np.array(image.size) / full)
    order = rng.permutation(len(templates))
    for index, (_, mask) in enumerate(IMAGES):
        part = cut_part(image, points, request.size, rng)
        pixels = part.pixels
        if mask != "none":
            template = templates[order[index % len(order)]]
            # A person's second mask from one template has another colour, at random.
            dye = DYES[int(rng.integers(len(DYES)))] if index >= len(order) else None
            pixels = wear(pixels, part.points, template, WORN if mask == "worn" else INCORRECT[incorrect], rng, dye)
        yield enlarged(lit(pixels, rng), request.size)


def _write_tables(
    folder: Path, request: Request, choice: Choice, templates: Sequence[MaskTemplate], written: Sequence[_Written]
) -> None:
    """Writes every file that is no image."""
    train, others = written[: len(choice.train)], written[len(choice.train) :]
    write_train_table(folder, [record.row for record in train])
    write_eval_tables(folder, [row for record in others for row in record.answers], (request.seed, _EVAL_ORDER))
    people = zip(written, (*choice.train, *choice.eval), strict=True)
    origins = [(record.person, chosen.portrait.name, record.incorrect) for record, chosen in people]
    write_csv(folder / "portraits.csv", ("person", "portrait", "incorrect"), origins)
    write_csv(folder / "skipped.csv", ("portrait",), [(portrait.name,) for portrait in choice.faceless])
    origin = {
        "portraits": hashlib.blake2b(request.table.read_bytes(), digest_size=16).hexdigest(),
        "templates": [template.name for template in templates],
        "train_people": len(choice.train),
        "eval_people": len(choice.eval),
        "mix": None if request.mix is None else list(request.mix),
        "size": list(request.size),
        "seed": request.seed,
        "portraits_version": VERSION,
    }
    write_text(folder / "synth.json", json.dumps(origin, indent=2) + "\n")
