"""Roles of columns, by their names and words: labels, numbers, groups, splits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from multitask.data.sources.columns import PLAIN_WORD, parse_numbers
from multitask.data.sources.split_words import SplitWords
from multitask.errors import UserError
from multitask.labels.settings import RESERVED
from multitask.utils.spelling import canonical, identifier_problem, is_missing_word, parse_number, without_fraction
from multitask.utils.strings import Strings

MAX_CLASSES = 200
"""Of a column that is found to be a label; one that the user names may have more."""
MAX_PRODUCT = 1_000
"""Classes that are found without a word from the user, of one task or of the product of several."""
MIN_NUMBERS = 13
"""Different numbers from which on a column is binned; fewer are classes."""

_GROUP = re.compile(
    r"(group|pe(rson|ople)|subject|patient|identity|individual|user|product|item|object|animal|scene|session|site|"
    r"location|family|video|clip|sequence|album|owner|photographer|worker|case|study|specimen|plant|slide)"
    r"s?(_?(id|no|nr|num|number|name|key|code))?",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"(?!.*(class|categor|label|target|type|kind|species|breed|colou?r|brand|style)).+(_(id|uid|uuid)|(?-i:[a-z]I[Dd]))",
    re.IGNORECASE,
)
"""What has an id of its own: a group where few images share each, unless the name says that it is a class."""
_FEW = 20
"""Images of a group at most, in the mean over groups."""
_ID = re.compile(r"(.*_)?(id|uid|uuid|index|idx|key|hash|md5|sha1|url|link|filename|file|path|image)s?", re.IGNORECASE)
_SPLIT = re.compile(r"(split|fold|partition|subset|set|phase|usage|data_?split|part)s?", re.IGNORECASE)
_DATE = re.compile(r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})(?!\d)", re.ASCII)
_SURELY_SPLIT = re.compile(r"(data_?)?(split|fold|partition|subset)s?", re.IGNORECASE)
_GEOMETRY = re.compile(
    r"(img_?|image_?|bbox_?|box_?|face_?|left_?|right_?)*(x|y|w|h|x\d|y\d|xmin|xmax|ymin|ymax|width|height|left|right|top|"
    r"bottom|lat|lon|latitude|longitude|eye|score|confidence|conf|weight|timestamp|time|date|size|bytes)(_?[xywh\d])?",
    re.IGNORECASE,
)


def clean(words: Strings) -> Strings:
    """Words as labels are read: in canonical spelling, what means "missing" empty, ``1.0`` as ``1``."""
    import pyarrow.compute as pc

    names = words.names.arrow()
    sure = pc.and_not(pc.match_substring_regex(names, PLAIN_WORD), pc.match_substring_regex(names, _RESPELT))
    return words.respelt(_cleaned, ~sure.to_numpy(zero_copy_only=False))


def _cleaned(word: str) -> str:
    name = canonical(word)
    return "" if is_missing_word(name) else without_fraction(name)


def with_none(raw: Strings, words: Strings) -> Strings:
    """``words``, with those that are none as a class where the others are words too: a hat is none, cap or helmet.

    Among numbers none is one that is missing. Among words it may be Python's ``str(None)``, but is mostly a class; the
    config that is drafted lists it, for whoever knows better.

    Args:
        raw: (N,) as they stand in the data.
        words: (N,) the same as of ``clean``.
    """
    known = [word for word in words.distinct() if word]
    if all(map(is_number, known)) or not any(map(_is_none, raw.distinct())):
        return words
    return raw.respelt(lambda word: canonical(word) if _is_none(word) else _cleaned(word))


def _is_none(word: str) -> bool:
    return canonical(word).casefold() == "none"


def with_points(words: Strings) -> Strings:
    """Words with decimal points, where all are numbers and some have decimal commas; else the same words."""
    found = words.distinct()
    if len(found) < MIN_NUMBERS or not any("," in word for word in found):
        return words
    known = (word for word in map(canonical, found) if word and not is_missing_word(word))
    if not all(_DECIMAL_COMMA.fullmatch(word) or is_number(word) for word in known):
        return words
    return words.respelt(lambda word: word.replace(",", "."))


_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+", re.ASCII)
_RESPELT = r"^([^0-9]{0,5}|.*[.]0*)$"
"""What may mean "missing", or be a number that is spelt with a fraction of nothing; among words of one line."""


def is_group_word(word: str) -> bool:
    """Whether a word is what groups are called, as ``patient``."""
    return _GROUP.fullmatch(word) is not None


def is_number(word: str) -> bool:
    """Whether a word spells a number."""
    return not math.isnan(parse_number(word))


@dataclass(frozen=True)
class Kind:
    """What a column is.

    Attributes:
        name: ``label``, ``number``, ``group``, ``split``, or ``other``.
        why: it is other, in a few words.
    """

    name: str
    why: str = ""


def kind_of(name: str, words: Strings) -> Kind:
    """What a column is, by its name and its words as ``clean`` gives them."""
    found = [word for word in words.distinct() if word]
    num, distinct = int((words != "").sum()), len(found)
    if not distinct:
        return Kind("other", "empty")
    if _SPLIT.fullmatch(name) and split_words(found) is not None:
        return Kind("split")
    if _SURELY_SPLIT.fullmatch(name) and distinct < MAX_CLASSES:
        return Kind("other", "a split in words that are not train, val and test; --labels takes it as a label")
    if distinct == 1:
        return Kind("other", f"always {found[0]!r}")
    if all(map(_DATE.match, found)):
        return Kind("other", "a date")
    numeric = not np.isnan(parse_numbers(found)).any()
    if _GEOMETRY.fullmatch(name) and (numeric or distinct > MAX_CLASSES):
        return Kind("other", "a place, a size or a score by its name")
    if _GROUP.fullmatch(name) and distinct > 10 and num / distinct > 1.2:
        return Kind("group")
    if _NUMBERED.fullmatch(name) and distinct > 10 and 1.2 < num / distinct <= _FEW:
        return Kind("group")
    if _ID.fullmatch(name) and distinct > num / 3:
        return Kind("other", "what images are called")
    if numeric and distinct >= MIN_NUMBERS:
        counting = distinct >= 0.9 * num and not any("." in word for word in found)
        return Kind("other", "a number of each image") if counting else Kind("number")
    if distinct > min(MAX_CLASSES, max(2, num / 3)):
        return Kind("other", f"{distinct:,} different words")
    return Kind("label")


def split_words(words: Iterable[str]) -> dict[str, list[str]] | None:
    """The ``splits`` setting by which words say who trains, validates and tests; None: they do not say it."""
    sides: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for word in words:
        if word:
            try:
                sides[("train", "val", "test")[SplitWords().side(word)]].append(word)
            except UserError:
                return None
    if not sides["train"] or not (sides["val"] or sides["test"]):
        return None
    return {side: sorted(found) for side, found in sides.items()}


def task_name(column: str, taken: Sequence[str] = ()) -> str:
    """A task's name for a column: an identifier that is not taken."""
    name = column
    if identifier_problem(column):
        name = re.sub(r"\W+", "_", column).strip("_") or "label"
        name = f"_{name}" if name[:1].isdigit() else name
    while name in (*taken, *RESERVED, "split", "_"):
        name += "_"
    return name
