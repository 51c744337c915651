"""Columns of a table, read a part at a time: each different cell once, and the first row that is malformed."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from multitask.data.sources import cells
from multitask.errors import UserError
from multitask.utils.spelling import MAX_NUMBER, Spellings, canonical, parse_number, without_fraction
from multitask.utils.strings import Strings
from multitask.utils.texts import Codes, Texts, TextsBuilder

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

PLAIN_WORD = "^[!-~]([ -~]*[!-~])?$"
"""Words that are in canonical spelling, at a glance: most are."""
_FRACTION_OF_0 = r"^-?[0-9]+[.]0*$"
_PLAIN_NUMBER = r"^-?[0-9]{1,18}([.][0-9]+)?$"
"""Texts that Arrow reads as ``parse_number`` does, and that spell no number beyond ``MAX_NUMBER``."""


class Faults:
    """The first malformed row of a part of a table; of several cells in it, the one that was looked at first."""

    def __init__(self) -> None:
        self.row = -1
        self.error: UserError | None = None

    def add(self, row: int, error: UserError) -> None:
        """Notes what is wrong in a row, counted from the part's first."""
        if self.error is None or row < self.row:
            self.row, self.error = row, error

    def look(self, good: NDArray[np.bool_], read: Callable[[int], object]) -> None:
        """Has the first row that is not good read on its own, to say what is wrong with it."""
        if not good.all():
            row = int(np.argmin(good))
            try:
                read(row)
            except UserError as error:
                self.add(row, error)


def distinct(column: pa.Array) -> tuple[Codes, list[Any]]:
    """The different cells of (n,), in the order in which they appear, and (n,) which each is."""
    import pyarrow as pa

    column = _plain(column)
    try:
        found = column.dictionary_encode(null_encoding="encode")
        return found.indices.to_numpy(), found.dictionary.to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # of some kinds, as lists
        return np.arange(len(column), dtype=np.int32), column.to_pylist()


def read_each(column: pa.Array, read: Callable[[Any], T], faulty: T, faults: Faults) -> tuple[Codes, list[T]]:
    """What each different cell is read as, and (n,) which of these each row has; ``faulty`` from a malformed one on."""
    codes, values = distinct(column)
    found: list[T] = []
    for code, value in enumerate(values):
        try:
            found.append(read(value))
        except UserError as error:
            faults.add(int(np.argmax(codes == code)), error)
            found += [faulty] * (len(values) - code)
            break
    return codes, found


def is_numeric(column: pa.Array) -> bool:
    """Whether a column's cells are numbers, rather than texts or anything else that may spell them."""
    from pyarrow import types

    return bool(types.is_integer(column.type) or types.is_float32(column.type) or types.is_float64(column.type))


def to_numbers(column: pa.Array) -> NDArray[np.float64]:
    """(n,) the cells of a numeric column, as their texts would be read; NaN where there is none."""
    import pyarrow as pa

    values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return values + 0.0  # the text of -0.0 is 0


def plain_numbers(words: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n,) the numbers that (n,) texts spell, and which of them do so plainly: most do, and the others are NaN here.

    >>> import pyarrow as pa
    >>> plain_numbers(pa.array(["2", "-1.5", "", "1e3", "x"]))
    (array([ 2. , -1.5,  nan,  nan,  nan]), array([ True,  True, False, False, False]))
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.match_substring_regex(words, _PLAIN_NUMBER)
    values = pc.if_else(plain, words, pa.scalar(None, words.type)).cast(pa.float64()).fill_null(np.nan)
    return values.to_numpy(zero_copy_only=False), plain.to_numpy(zero_copy_only=False)


def parse_numbers(words: Sequence[str]) -> NDArray[np.float64]:
    """(n,) as of ``parse_number`` each.

    >>> parse_numbers(["2", " -1.5 ", "inf", "1e3"])
    array([   2. ,   -1.5,    nan, 1000. ])
    """
    import pyarrow as pa

    values, plain = plain_numbers(pa.array(words, pa.large_string()))
    if plain.all():
        return values
    values = values.copy()  # Arrow's own cannot be written to
    for row in np.flatnonzero(~plain).tolist():
        values[row] = parse_number(words[row])
    return values


def as_numbers(columns: Mapping[str, pa.Array], name: str, faults: Faults) -> NDArray[np.float64]:
    """(n,) the numbers in a column, as of ``cells.number``."""
    column = columns[name]
    if not is_numeric(column):
        codes, found = read_each(column, lambda value: cells.number({name: value}, name), np.nan, faults)
        return np.array(found, dtype=np.float64)[codes]
    values = to_numbers(column)
    with np.errstate(invalid="ignore"):
        good = np.isnan(values) | (np.abs(values) <= MAX_NUMBER)
    faults.look(good, lambda row: cells.number(cells_of(columns, [name], row), name))
    return values


def cells_of(columns: Mapping[str, pa.Array], names: Sequence[str], row: int) -> dict[str, Any]:
    """One row, by column."""
    return {name: columns[name][row].as_py() for name in names}


def texts(column: pa.Array) -> pa.Array:
    """(n,) the cells as texts, as of ``cells.text``."""
    import pyarrow as pa
    from pyarrow import types

    column = _plain(column)
    if types.is_string(column.type) or types.is_large_string(column.type):
        return column.fill_null("")
    codes, values = distinct(column)
    return pa.array([cells.text(value) for value in values], pa.large_string()).take(pa.array(codes))


def _plain(column: pa.Array) -> pa.Array:
    from pyarrow import types

    return column.dictionary_decode() if types.is_dictionary(column.type) else column


class WordColumn:
    """Reads a column of words that must not be empty, as groups are.

    Args:
        table: the name of the table.
        name: the column's.
        forbidden: words that it may not hold, and what is told of one.
    """

    def __init__(self, table: str, name: str, forbidden: Collection[str] = (), told: str = "") -> None:
        self.name = name
        self._spellings = Spellings(f"{table}, {name}")
        self._forbidden, self._told = frozenset(forbidden), told
        self._odd: set[str] = set()  # the canonical names of those that are spelt otherwise
        self._fractions = False  # whether there is one such as 12.0
        self._num_fractions, self._fraction = 0, ""
        self._words = TextsBuilder()
        self._rows = array("i")

    def read(self, column: pa.Array, faults: Faults) -> None:
        """Appends a part."""
        import pyarrow as pa
        import pyarrow.compute as pc

        encoded = texts(column).dictionary_encode()
        words, codes = encoded.dictionary, encoded.indices.to_numpy()
        self._fractions |= pc.any(pc.match_substring_regex(words, _FRACTION_OF_0)).as_py() or False
        unsure = pc.invert(pc.match_substring_regex(words, PLAIN_WORD))
        if self._forbidden:
            unsure = pc.or_(unsure, pc.is_in(words, pa.array(sorted(self._forbidden), words.type)))
        for code in pc.indices_nonzero(unsure).to_pylist():
            try:
                self._check(words[code].as_py())
            except UserError as error:
                faults.add(int(np.argmax(codes == code)), error)
                break
        self._rows.frombytes((codes.astype(np.int32) + np.int32(len(self._words))).tobytes())
        self._words.extend_arrow(words)

    def _check(self, word: str) -> None:
        name = canonical(word)
        if not name:
            raise UserError(f"{self.name}: is empty")
        if name in self._forbidden:
            raise UserError(f"{self.name}: is {name!r}, {self._told}")
        if name != word:
            self._odd.add(name)

    def strings(self) -> Strings:
        """The words in canonical spelling; the column is spent."""
        codes, words = self._words.build().distinct()
        whole = self._whole(words) if self._fractions else {}
        if self._odd or whole:
            names = TextsBuilder()
            for word in words:
                name = canonical(word)
                names.extend([whole.get(name) or (self._spellings.read(word) if name in self._odd else name)])
            places, words = names.build().distinct()
            codes = places[codes]
        return Strings(words, codes[np.frombuffer(self._rows, dtype=np.int32)])

    def _whole(self, words: Texts) -> dict[str, str]:
        """Of words such as 12.0 the 12 that they are, where that stands there too."""
        found = {name: without_fraction(name) for name in map(canonical, words)}
        whole = {name: number for name, number in found.items() if number != name and number in found}
        self._num_fractions, self._fraction = len(whole), next(iter(whole), "")
        return whole

    def notes(self) -> Iterator[str]:
        """A note on words that are spelt in several ways."""
        yield from self._spellings.notes()
        if self._num_fractions:
            yield (
                f"{self._spellings.kind}: {self._num_fractions:,} whole "
                f"{'number is' if self._num_fractions == 1 else 'numbers are'} written with a fraction and without, "
                f"and taken as one each, as {self._fraction!r}"
            )
