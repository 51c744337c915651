"""Distinct texts in one buffer, as Arrow keeps them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Codes = NDArray[np.signedinteger[Any]]

MOST_NARROW = (1 << 31) - 1
"""Bytes that offsets of four bytes reach."""
TEXTS_AT_ONCE = 1 << 16
"""Texts that are made, or hashed, at a time."""
_FEW = 1 << 16
"""Texts that are sorted as strings; more by Arrow, whose import takes a moment."""
_PADDING = bytes(8)
"""Behind the last text, so that eight bytes can be read at each."""


def release_arrow() -> None:
    """Gives back the memory that Arrow keeps for its next arrays, which after large ones is much."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


class Texts:
    """M texts in one buffer, as Arrow keeps them.

    Args:
        data: their UTF-8 (lone surrogates are let through, as names of files may have them), one after the other, and
            ``_PADDING``.
        offsets: (M + 1,) where each begins, and the last ends; int32 where that suffices.
    """

    def __init__(self, data: NDArray[np.uint8], offsets: Codes) -> None:
        self.data = data
        self.offsets = offsets

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Texts of strings."""
        builder = TextsBuilder()
        builder.extend(texts)
        return builder.build()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), TEXTS_AT_ONCE):
            yield from self.at(np.arange(start, min(start + TEXTS_AT_ONCE, len(self))))

    def at(self, indices: NDArray[np.integer[Any]]) -> list[str]:
        """The texts at indices, as strings."""
        data = self.data.data
        starts, ends = self.offsets[indices].tolist(), self.offsets[indices + 1].tolist()
        return [str(data[start:end], "utf-8", "surrogatepass") for start, end in zip(starts, ends, strict=True)]

    def arrow(self) -> pa.Array:
        """The same as an Arrow array of bytes; nothing is copied."""
        import pyarrow as pa

        kind = pa.binary() if self.offsets.dtype == np.int32 else pa.large_binary()
        buffers = [None, pa.py_buffer(self.offsets), pa.py_buffer(self.data)]
        return pa.Array.from_buffers(kind, len(self), buffers)

    def distinct(self) -> tuple[Codes, Texts]:
        """(M,) which of the distinct texts each is, and these in the order in which they appear."""
        found = self.arrow().dictionary_encode()
        builder = TextsBuilder()
        builder.extend_arrow(found.dictionary)
        codes = found.indices.to_numpy().copy()
        del found
        release_arrow()
        return codes, builder.build()

    def ranks(self) -> Codes:
        """(M,) the place of each where they are sorted as Python sorts strings; for distinct texts."""
        import pyarrow.compute as pc

        texts = self.arrow()  # UTF-8 sorts as code points do
        places = np.arange(len(self), dtype=np.int32)
        if len(self) < 2 or pc.all(pc.less(texts[:-1], texts[1:])).as_py():
            return places
        ranks = np.empty_like(places)
        ranks[pc.array_sort_indices(texts).to_numpy()] = places
        release_arrow()
        return ranks

    def hashes(self) -> NDArray[np.uint64]:
        """(M,) numbers, alike for equal texts and hardly ever for others."""
        found = np.empty(len(self), dtype=np.uint64)
        words = np.ndarray((len(self.data) - 7,), "<u8", self.data, strides=(1,))  # the eight bytes from each byte on
        for start in range(0, len(self), TEXTS_AT_ONCE):
            part = self.offsets[start : start + TEXTS_AT_ONCE + 1].astype(np.int64)
            starts, lengths = part[:-1], np.diff(part)
            hashed = lengths.astype(np.uint64)
            for skip in range(0, int(lengths.max(initial=0)), 8):
                rows = np.flatnonzero(lengths > skip)
                spare = (8 * (8 - np.minimum(lengths[rows] - skip, 8))).astype(np.uint64)
                mixed = (hashed[rows] ^ (words[starts[rows] + skip] << spare)) * np.uint64(0x9E3779B97F4A7C15)
                hashed[rows] = mixed ^ (mixed >> np.uint64(29))
            found[start : start + len(hashed)] = hashed
        return found


class TextsBuilder:
    """Gathers texts, one after the other."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._lengths = array("I")

    def __len__(self) -> int:
        return len(self._lengths)

    def extend(self, texts: Iterable[str]) -> None:
        """Appends strings."""
        for text in texts:
            encoded = text.encode("utf-8", "surrogatepass")
            self._data += encoded
            self._lengths.append(len(encoded))

    def extend_arrow(self, texts: pa.Array) -> None:
        """Appends an Arrow array of strings or bytes without nulls."""
        import pyarrow.types as kinds

        wide = kinds.is_large_string(texts.type) or kinds.is_large_binary(texts.type)
        _, offsets, data = texts.buffers()
        if not len(texts) or data is None:
            self._lengths.frombytes(bytes(4 * len(texts)))
            return
        bounds = np.frombuffer(offsets, np.int64 if wide else np.int32)[texts.offset : texts.offset + len(texts) + 1]
        self._data += memoryview(data)[int(bounds[0]) : int(bounds[-1])]
        self._lengths.frombytes(np.diff(bounds).astype(np.uint32).tobytes())

    def extend_texts(self, texts: Texts) -> None:
        """Appends others."""
        self._data += texts.data.data[int(texts.offsets[0]) : int(texts.offsets[-1])]
        self._lengths.frombytes(np.diff(texts.offsets).astype(np.uint32).tobytes())

    def build_sorted(self) -> Texts:
        """The texts, sorted as Python sorts strings; the builder is spent."""
        texts = self.build()
        if len(texts) <= _FEW:
            return Texts.of(sorted(texts))
        import pyarrow.compute as pc

        found, builder = texts.arrow(), TextsBuilder()  # UTF-8 sorts as code points do
        builder.extend_arrow(found.take(pc.array_sort_indices(found)))
        del found
        release_arrow()
        return builder.build()

    def build(self) -> Texts:
        """The texts; the builder is spent."""
        lengths = np.frombuffer(self._lengths, np.uint32) if self._lengths else np.empty(0, dtype=np.uint32)
        offsets: Codes = np.zeros(len(lengths) + 1, dtype=np.int32 if len(self._data) <= MOST_NARROW else np.int64)
        np.cumsum(lengths, out=offsets[1:])
        self._data += _PADDING
        return Texts(np.frombuffer(self._data, np.uint8), offsets)
