"""Columns of strings in a few arrays: as Python objects ten million paths would take a gigabyte."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multitask.utils.texts import TEXTS_AT_ONCE, Codes, Texts, TextsBuilder

if TYPE_CHECKING:
    import pyarrow as pa


_FEW = 1 << 16
"""Strings that are told apart by a dictionary; of more, the rest by Arrow, whose import takes a moment."""


class Strings:
    """N strings, to be read as an array of objects would be; each is kept once, however many rows have it.

    Args:
        names: the distinct ones; some may have no row.
        codes: (N,) which of them each row has; None: as they are.

    >>> words = Strings.of(["b", "a", "b"])
    >>> words[0], words[[1, 2]].tolist(), words == "b"
    ('b', ['a', 'b'], array([ True, False,  True]))
    """

    dtype = np.dtype(object)
    ndim = 1

    def __init__(self, names: Texts, codes: Codes | None = None) -> None:
        self.names = names
        self._codes = codes

    @classmethod
    def of(cls, values: Iterable[str]) -> Strings:
        """Strings of any others.

        >>> Strings.of(word for word in ("b", "a")).tolist()
        ['b', 'a']
        """
        if isinstance(values, Strings):
            return values
        builder = StringsBuilder()
        builder.extend(values)
        return builder.build()

    @classmethod
    def repeated(cls, value: str, num: int) -> Strings:
        """One string ``num`` times.

        >>> Strings.repeated("a", 2).tolist()
        ['a', 'a']
        """
        return cls(Texts.of([value]), np.zeros(num, dtype=np.int8))

    @classmethod
    def concatenate(cls, parts: Sequence[Strings]) -> Strings:
        """The strings of several, one after the other.

        >>> Strings.concatenate([Strings.of(["a", "b"]), Strings.of(["b"])]).tolist()
        ['a', 'b', 'b']
        """
        builder = TextsBuilder()
        starts = []
        for part in parts:
            starts.append(len(builder))
            builder.extend_arrow(part.names.arrow())
        places, names = builder.build().distinct()
        codes = [places[start:][part.codes] for part, start in zip(parts, starts, strict=True)]
        return cls(names, np.concatenate(codes))

    @classmethod
    def of_texts(cls, texts: Texts) -> Strings:
        """The strings of texts, some of which may be equal."""
        codes, names = texts.distinct()
        return cls(names, None if len(names) == len(texts) else codes)

    def prefixed(self, prefix: str) -> Strings:
        """Each behind a prefix.

        >>> Strings.of(["a", "b"]).prefixed("x/").tolist()
        ['x/a', 'x/b']
        """
        return Strings(Texts.of(prefix + name for name in self.names), self._codes)

    def respelt(self, spell: Callable[[str], str], among: NDArray[np.bool_] | None = None) -> Strings:
        """Each as it is spelt otherwise.

        Args:
            spell: gives the new spelling of a distinct one.
            among: which of ``names`` are asked for theirs; None: all.

        >>> Strings.of(["a ", "b", "a"]).respelt(str.strip).tolist()
        ['a', 'b', 'a']
        """
        asked = np.arange(len(self.names)) if among is None else np.flatnonzero(among)
        given = self.names.at(asked)
        spelt = {code: new for code, old in zip(asked.tolist(), given, strict=True) if (new := spell(old)) != old}
        if not spelt:
            return self
        places, names = Texts.of(spelt.get(code, name) for code, name in enumerate(self.names)).distinct()
        return Strings(names, places[self.codes])

    @property
    def codes(self) -> Codes:
        """(N,) numbers of the distinct strings: alike where, and only where, the strings are."""
        return np.arange(len(self.names), dtype=np.int32) if self._codes is None else self._codes

    def arrow(self) -> pa.Array:
        """(N,) their UTF-8 as an Arrow array.

        >>> Strings.of(["b", "a", "b"]).arrow().to_pylist()
        [b'b', b'a', b'b']
        """
        import pyarrow as pa

        names = self.names.arrow()
        return (names if self._codes is None else names.take(pa.array(self._codes))).cast(pa.large_binary())

    def numbers(self) -> NDArray[np.int64]:
        """(N,) the distinct strings as numbers from 0, in the order in which they appear.

        >>> Strings.of(["b", "a", "b"])[[1, 2]].numbers()
        array([0, 1])
        """
        if self._codes is None:
            return np.arange(len(self))
        first = self._firsts()
        numbers = np.empty(len(self.names), dtype=np.int64)
        numbers[self._codes[first]] = np.arange(len(first))
        return numbers[self._codes]

    def ranks(self) -> tuple[Codes, int]:
        """(N,) the distinct strings as numbers from 0, in sorted order, and how many there are.

        >>> Strings.of(["b", "a", "b"]).ranks()
        (array([1, 0, 1], dtype=int32), 2)
        """
        if self._codes is None:
            return self.names.ranks(), len(self)
        used = self.used()
        if used.all():
            return self.names.ranks()[self._codes], len(used)
        order = np.argsort(self.names.ranks()[used])
        ranks = np.empty(len(used), dtype=np.int32)
        ranks[np.flatnonzero(used)[order]] = np.arange(len(order))
        return ranks[self._codes], len(order)

    def used(self) -> NDArray[np.bool_]:
        """Which of ``names`` have a row."""
        used = np.full(len(self.names), self._codes is None)
        if self._codes is not None:
            used[self._codes] = True
        return used

    @property
    def num_distinct(self) -> int:
        """How many different strings there are.

        >>> Strings.of(["b", "a", "b"]).num_distinct
        2
        """
        return len(self) if self._codes is None else int(self.used().sum())

    def distinct(self) -> list[str]:
        """The distinct strings, in the order in which they appear: those that ``numbers`` are of.

        >>> Strings.of(["b", "a", "b"])[[1, 2]].distinct()
        ['a', 'b']
        """
        return list(self.names) if self._codes is None else self.names.at(self._codes[self._firsts()])

    def counts(self) -> dict[str, int]:
        """How many rows each distinct string has, in the order in which they appear.

        >>> Strings.of(["b", "a", "b"]).counts()
        {'b': 2, 'a': 1}
        """
        names = self.distinct()
        return dict(zip(names, np.bincount(self.numbers(), minlength=len(names)).tolist(), strict=True))

    def isin(self, others: Strings) -> NDArray[np.bool_]:
        """(N,) whether each is one of others, which are taken from the same column.

        >>> words = Strings.of(["b", "a", "b"])
        >>> words.isin(words[[2]])
        array([ True, False,  True])
        """
        assert others.names is self.names, "of another column"
        return others.used()[self.codes]

    def _firsts(self) -> NDArray[np.int64]:
        """The row of each distinct string's first appearance, ascending."""
        assert self._codes is not None
        first = np.full(len(self.names), -1)
        first[self._codes[::-1]] = np.arange(len(self) - 1, -1, -1)  # the last that is written stays
        return np.sort(first[first >= 0])

    def __len__(self) -> int:
        return len(self.names) if self._codes is None else len(self._codes)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> str: ...
    @overload
    def __getitem__(self, index: slice | ArrayLike) -> Strings: ...
    def __getitem__(self, index: Any) -> str | Strings:
        if isinstance(index, slice):
            rows = np.arange(*index.indices(len(self)))
        elif np.ndim(index) == 0:
            row = range(len(self))[index]
            return self.names.at(np.array([row if self._codes is None else self._codes[row]]))[0]
        else:
            rows = np.asarray(index, dtype=None if len(index) else np.int64)  # numpy takes an empty list for floats
        if self._codes is not None:
            return Strings(self.names, self._codes[rows])
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            rows = np.arange(len(self))[rows]  # negative ones, or numpy's error
        return Strings(self.names, rows.astype(np.int32 if len(self) < 1 << 31 else np.int64))

    def __iter__(self) -> Iterator[str]:
        if self._codes is None:
            yield from self.names
            return
        for start in range(0, len(self), TEXTS_AT_ONCE):
            yield from self.names.at(self._codes[start : start + TEXTS_AT_ONCE])

    def tolist(self) -> list[str]:
        """As Python strings; equal ones are one object.

        >>> Strings.of(["b", "a"]).tolist()
        ['b', 'a']
        """
        return list(self.to_numpy())

    def to_numpy(self) -> NDArray[np.object_]:
        """(N,) Python strings; equal ones are one object.

        >>> Strings.of(["b", "a"]).to_numpy()
        array(['b', 'a'], dtype=object)
        """
        if self._codes is None:
            return _objects(list(self.names))
        used, places = np.unique(self._codes, return_inverse=True)
        return _objects(self.names.at(used))[places]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.to_numpy().astype(object if dtype is None else dtype, copy=False)

    def astype(self, dtype: Any) -> NDArray[Any]:
        """As an array of objects is made another.

        >>> Strings.of(["b", "a"]).astype(str)
        array(['b', 'a'], dtype='<U1')
        """
        return self.to_numpy().astype(dtype)

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, str):
            return self.to_numpy() == np.asarray(other, dtype=object)
        code = next((code for code, name in enumerate(self.names) if name == other), -1)
        return self.codes == code

    def __ne__(self, other: object) -> Any:
        return ~(self == other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Strings({self[:3].tolist()}, {len(self)} in all)"


class StringsBuilder:
    """Gathers strings, one after the other.

    >>> builder = StringsBuilder()
    >>> builder.extend(["b", "a"])
    >>> builder.extend(["b"])
    >>> builder.build()
    Strings(['b', 'a', 'b'], 3 in all)
    """

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._codes = array("i")
        self._texts = TextsBuilder()  # of many: those that are known, and all that come after ``_codes``

    def __len__(self) -> int:
        return len(self._codes) + max(0, len(self._texts) - len(self._known))

    def extend(self, values: Iterable[str]) -> None:
        """Appends strings."""
        values, known = iter(values), self._known
        for value in islice(values, _FEW - len(self._codes)):
            self._codes.append(known.setdefault(value, len(known)))
        if len(self._codes) == _FEW:
            if not len(self._texts):
                self._texts.extend(known)
            self._texts.extend(values)

    def build(self) -> Strings:
        """The strings; the builder is empty then."""
        codes, known, texts = np.array(self._codes, dtype=np.int32), self._known, self._texts
        self._known, self._codes, self._texts = {}, array("i"), TextsBuilder()
        if not len(texts):
            names = Texts.of(known)
        else:
            places, names = texts.build().distinct()
            codes = np.concatenate([codes, places[len(known) :].astype(np.int32, copy=False)])
        return Strings(names, None if len(names) == len(codes) else codes)


def shared_strings(some: Strings, others: Strings) -> list[str]:
    """The strings that are in both of two, which are taken from the same column.

    >>> words = Strings.of(["b", "a", "b"])
    >>> shared_strings(words[[0, 1]], words[[2]])
    ['b']
    """
    assert others.names is some.names, "of another column"
    return some.names.at(np.flatnonzero(some.used() & others.used()))


def _objects(values: list[str]) -> NDArray[np.object_]:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
