"""Parts of names and what they say: labels, numbers, groups, counters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from multitask.data.sources.folders import ANYTHING, GROUP, SPLIT
from multitask.init.words import MAX_CLASSES, MAX_PRODUCT, MIN_NUMBERS, is_group_word, is_number, task_name
from multitask.utils.spelling import identifier_problem

_DELIMITERS = "_-. +,"
_ALIKE = 0.9
"""The share of the names that must have the same number of parts."""
_KEY = re.compile(r"[A-Za-z]+[-=:.]|[A-Za-z]{2,}(?=\d)")
_PORTION = re.compile(r"(fold|part|batch|shard|chunk)s?[ _-]?\d+", re.IGNORECASE)
"""What folders are called that a set is dealt into, which say nothing of images."""
_NUMBERED = re.compile(r"(\D*)(\d+)(\D*)", re.ASCII)
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
        keys: what stands before each piece, as ``age-``; none: nothing does.
    """

    pieces: tuple[str, ...]
    delimiter: str = ""
    keys: tuple[str, ...] = ()

    @classmethod
    def split(cls) -> Part:
        """A name that says who trains, validates and tests."""
        return cls((SPLIT,))

    @classmethod
    def label(cls) -> Part:
        """A name that is a label."""
        return cls(("label:label",))

    @property
    def is_group(self) -> bool:
        """Whether the name is a group's."""
        return self.pieces == (GROUP,)

    @property
    def says_labels(self) -> bool:
        """Whether a piece is a label."""
        return any(piece.startswith("label:") for piece in self.pieces)

    def pattern(self, taken: list[str]) -> str:
        """The pattern, with names of tasks that are not ``taken``, to which they are added."""
        written = []
        for piece, key in zip(self.pieces, self.keys or [""] * len(self.pieces), strict=True):
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
            written.append(f"{{{name}}}" if name == ANYTHING else f"{key}{{{name}}}")
        return self.delimiter.join(written)


def parts_of_folder(counts: Counter[str]) -> Part:
    """What the folders of one depth say; ``counts`` is how many images are in each."""
    if len(counts) == 1:
        return Part((f"literal:{next(iter(counts))}",))
    if all(map(_PORTION.fullmatch, counts)):
        return Part((ANYTHING,))
    product = _product(list(counts))
    if product is not None:
        return product
    per_folder = counts.total() / len(counts)
    if len(counts) <= MAX_CLASSES and per_folder >= 2 and not _looks_like_groups(counts):
        return Part((f"label:{_name(counts)}",))
    return Part((GROUP,))


def _looks_like_groups(counts: Counter[str]) -> bool:
    """Whether folders are groups rather than classes: many small ones that are numbered."""
    numbered = sum(any(sign.isdigit() for sign in name) for name in counts)
    return len(counts) > 10 and numbered > 0.8 * len(counts) and counts.total() / len(counts) < 50


def may_be_classes(counts: Counter[str]) -> bool:
    """Whether folders that look like groups may be classes, where no other name says a label.

    Not where a word says what they are of, as in ``patient_07``, nor where there are few images of each.
    """
    words = Counter(_word_before_number(name) for name in counts)
    called, num = words.most_common(1)[0]
    as_groups = num > 0.8 * len(counts) and is_group_word(called)
    return not as_groups and 1 < len(counts) <= MAX_PRODUCT and counts.total() / len(counts) >= 2


def _word_before_number(name: str) -> str:
    found = _NUMBERED.fullmatch(name)
    return found[1].strip(_DELIMITERS) if found else name


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


def parts_of_files(stems: Sequence[str], folders: Sequence[str]) -> Part:
    """What the names of (N,) files, without their suffix, say that the folders (N,) that they are in do not."""
    delimiter, num = _delimiter(stems)
    if not delimiter:
        return Part(("label:label", ANYTHING)) if _are_numbered_labels(stems) else Part((ANYTHING,))
    columns: list[list[str]] = [[] for _ in range(num)]
    places: list[str] = []
    known: dict[str, str] = {}  # so that equal words are one object
    for stem, folder in zip(stems, folders, strict=True):
        if len(parts := stem.split(delimiter)) == num:
            places.append(folder)
            for column, word in zip(columns, parts, strict=True):
                column.append(known.setdefault(word, word))
    known.clear()
    keys = [_key(column) for column in columns]
    columns = [[word[len(key) :] for word in column] for column, key in zip(columns, keys, strict=True)]
    kinds = [ANYTHING if _says_folder(column, places) else _kind(column) for column in columns]
    names = [key.strip("-=:.").casefold() for key in keys]
    for place in reversed(range(num)):  # what counts stands at the end
        says = [its == "label" or (its == "number" and bool(key)) for its, key in zip(kinds, keys, strict=True)]
        others = [column for other, column in enumerate(columns) if says[other] and other != place]
        numeric = kinds[place] in ("number", GROUP) or (kinds[place] == "label" and _are_numbered({*columns[place]}))
        if numeric and (_counts(columns[place], others) or _counts_in_folders(columns[place], places)):
            kinds[place] = ANYTHING
        elif kinds[place] in ("label", "number") and (names[place] == "id" or is_group_word(names[place])):
            kinds[place] = GROUP
    named = "label" in kinds or "number" in kinds
    pieces = []
    for column, kind, name in zip(columns, kinds, names, strict=True):
        if kind == "literal":
            pieces.append(f"literal:{column[0]}")
        elif kind in ("label", "number"):
            name = "" if identifier_problem(name) else task_name(name)
            pieces.append(f"label:{name or (_name(Counter(column)) if kind == 'label' else 'number')}")
        else:
            pieces.append(kind if named and GROUP not in pieces else ANYTHING)
    return Part(tuple(pieces), delimiter, tuple(keys))


def _key(words: Sequence[str]) -> str:
    """What says of words what they are, as ``age-`` of ``age-31``, or ``cam`` of ``cam2``; empty: nothing does."""
    distinct = set(words)
    found = _KEY.match(words[0])
    if len(distinct) == 1 or found is None:
        return ""
    key = found[0]
    rest = [word[len(key) :] for word in distinct if word.startswith(key)]
    known = len(rest) == len(distinct) and all(rest) and (not key[-1].isalpha() or all(map(is_number, rest)))
    return key if known else ""


def _are_numbered_labels(stems: Sequence[str]) -> bool:
    """Whether names are words and numbers with nothing between, as ``cat12``."""
    found = [_NUMBERED.fullmatch(stem) for stem in stems]
    words = Counter(match[1] for match in found if match and match[1] and not match[3])
    return words.total() == len(stems) and 2 <= len(words) <= MAX_CLASSES and len(stems) >= 3 * len(words)


def _are_numbered(words: set[str]) -> bool:
    """Whether words are alike but for a number, as ``7`` or ``(7)``."""
    found = [_NUMBERED.fullmatch(word) for word in words]
    return all(map(is_number, words)) or (all(found) and len({(match[1], match[3]) for match in found if match}) == 1)


def _says_folder(words: Sequence[str], folders: Sequence[str]) -> bool:
    """Whether each folder has a word of its own, which says nothing that the folder does not."""
    pairs = set(zip(words, folders, strict=True))
    return len(pairs) > 1 and len(pairs) == len(set(words)) == len(set(folders))


def _counts_in_folders(words: Sequence[str], folders: Sequence[str]) -> bool:
    """Whether numbers only count the images of each folder: from 0 or 1 on, each once."""
    of_folder: dict[str, list[int]] = {}
    for word, folder in zip(words, folders, strict=True):
        found = _NUMBERED.fullmatch(word)
        if found is None:
            return False
        of_folder.setdefault(folder, []).append(int(found[2]))
    counting = (
        sorted(numbers) in ([*range(len(numbers))], [*range(1, len(numbers) + 1)]) for numbers in of_folder.values()
    )
    return len(of_folder) > 1 and sum(counting) > 0.9 * len(of_folder)


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
