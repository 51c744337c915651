"""CelebA: forty attributes of faces, identities and the set's own split, in text files or Kaggle's tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from multitask.data.sources.csv_file import read_csv
from multitask.errors import UserError
from multitask.init.layouts.base import Layout, Observed, Options
from multitask.init.layouts.images import Found, Images
from multitask.init.layouts.table import labels_assumed, of_rows
from multitask.utils.files import check_regular

LABELS = ("Male", "Young", "Smiling", "Eyeglasses")
"""Of the forty; a product of all has more classes than images."""
_SIDES = {"0": "train", "1": "val", "2": "test"}
_WORDS = {"1": "yes", "-1": "no", "0": "no"}


class CelebA(Layout):
    """``list_attr_celeba``, ``list_eval_partition`` and ``identity_CelebA``, each ``.txt`` or ``.csv``."""

    title = "CelebA"
    takes = frozenset({"images"})

    def fits(self) -> bool:
        """Whether a folder, or its ``Anno``, holds the attributes."""
        return self.path.is_dir() and _file(self.path, "list_attr_celeba") is not None

    def observe(self, options: Options) -> Observed:
        """The images, with attributes as yes and no."""
        attributes = _file(self.path, "list_attr_celeba")
        assert attributes is not None, "as fits says"
        columns = _attributes(attributes)
        names, attributed = columns["image_id"], tuple(columns)
        group = _beside(self.path, "identity_CelebA", names, columns, "identity", {})
        split = _beside(self.path, "list_eval_partition", names, columns, "split", _SIDES)
        images = Images(options.images or self.path)
        _, found = images.leading({"image_id": names}, attributes)
        columns |= _places(self.path, names, found)
        labels = options.labels or tuple(name for name in LABELS if name in columns)
        return of_rows(
            attributes,
            columns,
            "image_id",
            found,
            images,
            None,
            labels=labels,
            group=group,
            split=split,
            classes={name: ("no", "yes") for name in attributed if name != "image_id"},
            assumed=labels_assumed(labels, options, attributed[1:]),
            check=()
            if group
            else ("without identity_CelebA.txt images of one face may stand on both sides of a split",),
        )


def _file(path: Path, stem: str) -> Path | None:
    """The file of a stem, wherever the set keeps it; None: there is none."""
    for folder in (path, path / "Anno", path / "Eval", path / "annotations"):
        for suffix in (".txt", ".csv"):
            if (folder / f"{stem}{suffix}").is_file():
                return folder / f"{stem}{suffix}"
    return None


def _places(path: Path, names: list[str], found: Found) -> dict[str, list[str]]:
    """The columns of eyes and boxes, of the set's files that are of these images: aligned, or as they were."""
    aligned = any("align" in image.rpartition("/")[0] for image in found if image)
    stems = ("list_landmarks_align_celeba",) if aligned else ("list_landmarks_celeba", "list_bbox_celeba")
    places: dict[str, list[str]] = {}
    for stem in stems:
        file = _file(path, stem)
        if file is None:
            continue
        columns = _columns(file, None)
        rows = {name: row for row, name in enumerate(columns.pop("image_id"))}
        for column, words in columns.items():
            places[column] = [words[rows[name]] if name in rows else "" for name in names]
    return places


def _attributes(path: Path) -> dict[str, list[str]]:
    return _columns(path, _WORDS)


def _columns(path: Path, known: dict[str, str] | None) -> dict[str, list[str]]:
    """The columns of a file; of words other than those that are known nothing is left; None: all are."""

    def read(word: str) -> str:
        return word.strip() if known is None else known.get(word.strip(), "")

    columns: dict[str, list[str]] = {}
    if path.suffix == ".csv":
        for _, row in read_csv(path, ("image_id",)):
            for name, word in row.items():
                columns.setdefault(name, []).append(word if name == "image_id" else read(word))
    else:
        lines = _lines(path)
        next(lines, None)  # the number of images
        header = [name for name in next(lines, (0, []))[1] if name != "image_id"]  # which only that of boxes has
        columns = {name: [] for name in ("image_id", *header)}
        for line, cells in lines:
            if len(cells) != len(header) + 1:
                raise UserError(f"{path}, line {line}: must have {len(header) + 1} cells, found {len(cells)}")
            columns["image_id"].append(cells[0])
            for name, word in zip(header, cells[1:], strict=True):
                columns[name].append(read(word))
    if not columns.get("image_id"):
        raise UserError(f"{path}: holds no rows")
    return columns


def _beside(
    path: Path, stem: str, names: list[str], columns: dict[str, list[str]], column: str, words: dict[str, str]
) -> str | None:
    """Adds the column of a file of names and values; the column's name, None where there is no such file."""
    file = _file(path, stem)
    if file is None:
        return None
    if file.suffix == ".csv":
        pairs = [list(row.values()) for _, row in read_csv(file, ())]
    else:
        pairs = [cells for _, cells in _lines(file)]
    known = {cells[0]: words.get(cells[1], cells[1]) for cells in pairs if len(cells) == 2}
    columns[column] = [known.get(name, "") for name in names]
    if not all(columns[column]):
        name = names[columns[column].index("")]
        raise UserError(f"{file}: says nothing of {name}, which the attributes do")
    return column


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The words of each line that has some, with its number."""
    check_regular(path)
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if words := line.split():
                    yield number, words
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
