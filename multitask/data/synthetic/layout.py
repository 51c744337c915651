"""The mask competition's layout: names, classes, tables and limits, and files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from multitask.errors import UserError
from multitask.utils.files import naming

# The layout: each image's stem, the state it shows, and that state's label.
IMAGES: tuple[tuple[str, str], ...] = (
    *((f"mask{i}", "worn") for i in range(1, 6)),
    ("incorrect_mask", "incorrect"),
    ("normal", "none"),
)
MASK_LABELS = {"worn": 0, "incorrect": 1, "none": 2}
GENDER_LABELS = {"male": 0, "female": 1}
MIDDLE_AGE, OLD_AGE = 30, 60  # the first year of the second and of the third band

MOST_PEOPLE = 100_000  # 700,000 images

# The real set has .95, .02 and .03; small sets should have all three too.
EXTENSIONS: tuple[tuple[str, float], ...] = ((".jpg", 0.88), (".jpeg", 0.06), (".png", 0.06))
JPEG_QUALITY = 85
PNG_COMPRESSION = 3  # three times as fast as the default, a tenth larger


def true_class(mask: str, gender: str, age: int) -> int:
    """The competition's class, 0 to 17, of a mask state (worn, incorrect, none), a gender and an age in years."""
    return MASK_LABELS[mask] * 6 + GENDER_LABELS[gender] * 3 + (age >= MIDDLE_AGE) + (age >= OLD_AGE)


def person_folder(number: str, gender: str, race: str, age: int) -> str:
    """The folder of a person's images in train/images, which is the person's ``path`` in train.csv."""
    return f"{number}_{gender}_{race}_{age}"


def quarter(people: int) -> int:
    """How many people are in eval where nothing else is asked for."""
    return max(1, round(people / 4))


def check_people(people: int | None, eval_people: int | None) -> None:
    """Checks how many people are asked for; None: it is not said.

    Raises:
        UserError: one is out of its range.
    """
    check_range("--people", people, 1, MOST_PEOPLE)
    check_range("--eval-people", eval_people, 1, MOST_PEOPLE)


def check_seed(seed: int) -> None:
    """Checks a seed.

    Raises:
        UserError: it is out of its range.
    """
    check_range("--seed", seed, 0, 2**63 - 1)


def check_range(name: str, number: int | None, least: int, most: int) -> None:
    """Checks a number that is asked for by an option.

    Raises:
        UserError: it is out of its range.
    """
    if number is not None and not least <= number <= most:
        raise UserError(f"{name}: must be from {least} to {most}, found {number}")


def draw_extension(rng: np.random.Generator) -> str:
    """The extension of one image."""
    endings, shares = zip(*EXTENSIONS, strict=True)
    return str(rng.choice(endings, p=shares))


def save_image(pixels: np.ndarray, path: Path) -> None:
    """Writes (H, W, 3) uint8 RGB in the format of the path's suffix."""
    content = io.BytesIO()  # not to the file itself, where a full disk would be an "encoder error" without a number
    if path.suffix == ".png":
        Image.fromarray(pixels).save(content, format="PNG", compress_level=PNG_COMPRESSION)
    else:
        Image.fromarray(pixels).save(content, format="JPEG", quality=JPEG_QUALITY)
    with naming(path):
        path.write_bytes(content.getvalue())


def write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Writes a table with the line ends of every machine alike."""
    with naming(path), path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_train_table(folder: Path, rows: Iterable[tuple[str, ...]]) -> None:
    """Writes train.csv, of (number, gender, race, age, ``person_folder``) a person."""
    write_csv(folder / "train" / "train.csv", ("id", "gender", "race", "age", "path"), rows)


def write_eval_tables(folder: Path, answers: Sequence[tuple[str, str, str]], seed: Sequence[int]) -> None:
    """Writes info.csv and answers.csv in an order that says nothing of what is to be seen.

    Args:
        folder: of the set.
        answers: (file name, class, person) of each image.
        seed: of the order.
    """
    shuffled = [answers[i] for i in np.random.default_rng(seed).permutation(len(answers))]
    write_csv(folder / "eval" / "info.csv", ("ImageID", "ans"), [(name, "0") for name, *_ in shuffled])
    write_csv(folder / "answers.csv", ("ImageID", "ans", "group"), shuffled)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 with the line ends of every machine alike."""
    with naming(path):
        path.write_text(text, encoding="utf-8", newline="\n")


@contextlib.contextmanager
def complete_or_absent(root: Path) -> Iterator[Path]:
    """A hidden folder to fill, which becomes `root` if the block ends well and vanishes, with all made for it, if not.

    An empty folder that is already there is filled, not replaced: it may be a mount point, or where the user stands.

    Raises:
        UserError: there is something in `root`.
        OSError: a full disk, or a folder that may not be written to; named as if it were in `root`.
    """
    target = root.absolute()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UserError(f"{root} already exists; choose another folder")
    inside = target.exists()
    parent = target if inside else target.parent
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    work = parent / f".{target.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        work.mkdir(parents=True)
        yield work
        if inside:
            for entry in sorted(work.iterdir()):
                entry.rename(target / entry.name)
            work.rmdir()
        else:
            work.rename(target)
    except BaseException as error:  # an interrupt too
        shutil.rmtree(work, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError) and str(error.filename).startswith(str(work)):  # a name that nobody has given
            raise OSError(error.errno, error.strerror, f"{root}{str(error.filename)[len(str(work)) :]}") from None
        raise
