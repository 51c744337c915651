"""Parts of names and what they say: labels, numbers, groups, counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from multitask.data.sources.folders import ANYTHING, GROUP, SPLIT
from multitask.init.words import MAX_CLASSES, MIN_NUMBERS, is_number

_DELIMITERS = "_-. +,"
_ALIKE = 0.9
"""The share of the names that must have the same number of parts."""
_GENDERS = {"male", "female", "man", "woman", "men", "women", "m", "f", "boy", "girl"}
_COLOURS = {
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "gray", "beige",
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Parts of a name between delimiters.

    Attributes:
        pieces: each as ``literal:TEXT``, ``label:NAME`` or one of ``group``, ``split`` and ``_``.
        delimiter: what stands between them.
    """

    pieces: tuple[str, ...]
    delimiter: str = ""

    @classmethod
    def split(cls) -> Part:
        """A name that says who trains, validates and tests."""
        return cls((SPLIT,))

    @property
    def says_labels(self) -> bool:
        """Whether a piece is a label."""
        return any(piece.startswith("label:") for piece in self.pieces)

    def pattern(self, taken: list[str]) -> str:
        """The pattern, with names of tasks that are not ``taken``, to which they are added."""
        written = []
        for piece in self.pieces:
            kind, _, text = piece.partition(":")
            if kind == "literal":
                written.append(text)
                continue
            name = text if kind == "label" else kind
            if kind != ANYTHING:
                if name in taken and kind != "label":
                    name = ANYTHING
                number = 2
                while name in taken and name != ANYTHING:
                    name, number = f"{text}{number}", number + 1
                taken.append(name)
            written.append(f"{{{name}}}")
        return self.delimiter.join(written)


def parts_of_folder(counts: Counter[str]) -> Part:
    """What the folders of one depth say; ``counts`` is how many images are in each."""
    if len(counts) == 1:
        return Part((f"literal:{next(iter(counts))}",))
    product = _product(list(counts))
    if product is not None:
        return product
    per_folder = counts.total() / len(counts)
    if len(counts) <= MAX_CLASSES and per_folder >= 2 and not _looks_like_groups(counts, per_folder):
        return Part((f"label:{_name(counts)}",))
    return Part((GROUP,))


def _looks_like_groups(counts: Counter[str], per_folder: float) -> bool:
    """Whether folders are groups rather than classes: many small ones that are numbered."""
    numbered = sum(any(sign.isdigit() for sign in name) for name in counts)
    return len(counts) > 10 and numbered > 0.8 * len(counts) and per_folder < 50


def _product(names: Sequence[str]) -> Part | None:
    """Names that are products, as ``red_shirt``; None: they are not."""
    for delimiter in "_- +,":
        split = [name.split(delimiter) for name in names]
        num = len(split[0])
        if num < 2 or any(len(parts) != num for parts in split):
            continue
        columns = [{parts[place] for parts in split} for place in range(num)]
        varying = [column for column in columns if len(column) > 1]
        total = 1
        for column in varying:
            total *= len(column)
        sizes_fall = all(len(column) < len(names) for column in varying)
        if len(varying) >= 2 and sizes_fall and len(names) > 0.5 * total:
            pieces = (
                f"label:{_name(Counter(column))}" if len(column) > 1 else f"literal:{next(iter(column))}"
                for column in columns
            )
            return Part(tuple(pieces), delimiter)
    return None


def parts_of_files(stems: Sequence[str]) -> Part:
    """What the names of (N,) files, without their suffix, say."""
    delimiter, num = _delimiter(stems)
    if not delimiter:
        return Part((ANYTHING,))
    columns: list[list[str]] = [[] for _ in range(num)]
    known: dict[str, str] = {}  # so that equal words are one object
    for stem in stems:
        if len(parts := stem.split(delimiter)) == num:
            for column, word in zip(columns, parts, strict=True):
                column.append(known.setdefault(word, word))
    known.clear()
    kinds = [_kind(column) for column in columns]
    for place, kind in enumerate(kinds):
        others = [columns[other] for other, its in enumerate(kinds) if its == "label" and other != place]
        numeric = kind in ("number", GROUP) or (kind == "label" and all(map(is_number, set(columns[place]))))
        if numeric and _counts(columns[place], others):
            kinds[place] = ANYTHING
    named = "label" in kinds or "number" in kinds
    pieces = []
    for column, kind in zip(columns, kinds, strict=True):
        if kind == "literal":
            pieces.append(f"literal:{column[0]}")
        elif kind in ("label", "number"):
            pieces.append(f"label:{_name(Counter(column)) if kind == 'label' else 'number'}")
        else:
            pieces.append(kind if named and GROUP not in pieces else ANYTHING)
    return Part(tuple(pieces), delimiter)


def _delimiter(stems: Sequence[str]) -> tuple[str, int]:
    """The delimiter by which most names have as many parts, two or more, and how many; none: empty."""
    best = ("", 0)
    for delimiter in _DELIMITERS:
        num, count = Counter(stem.count(delimiter) + 1 for stem in stems).most_common(1)[0]
        if num > max(1, best[1]) and count >= _ALIKE * len(stems):
            best = (delimiter, num)
    return best


def _kind(words: Sequence[str]) -> str:
    counts = Counter(words)
    num, distinct = len(words), len(counts)
    if distinct == 1:
        return "literal"
    numeric = all(map(is_number, counts))
    if numeric and distinct >= MIN_NUMBERS:
        return "number" if num / distinct >= 2 and max(map(len, counts)) <= 6 else ANYTHING
    if distinct <= MAX_CLASSES and num / distinct >= 3:
        return "label"
    return GROUP if num / distinct >= 1.5 else ANYTHING


def _counts(words: Sequence[str], labels: Sequence[Sequence[str]]) -> bool:
    """Whether numbers only count images: among those of the same labels none stands twice, or hardly one."""
    if not labels:
        return len(set(words)) > 0.9 * len(words)
    kinds = Counter(zip(words, *labels, strict=True))
    return len(kinds) > 0.98 * len(words)


def _name(counts: Counter[str]) -> str:
    words = {word.casefold() for word in counts}
    if words <= _GENDERS:
        return "gender"
    return "colour" if words <= _COLOURS else "label"
