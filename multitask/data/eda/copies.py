"""Duplicate images under different groups: a person with two ids would be on both sides of a split.

Candidates are pairs whose perceptual hashes differ in few bits; a pair counts only if the pixels, too, agree, and not
in light and shade, which faces framed alike have in common, but in their detail.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multitask.data.eda.looks import HASH_BITS, Looks

MOST_BITS = 12
"""Hashes of copies differ in at most so many of 64 bits: measured, 10 after a fifth more light, 2 after JPEG 30."""
LEAST_CORRELATION = 0.94
"""Of copies' detail at 32 x 32. Measured: other groups reach .60, drawn ones (of 20 million pairs) .89; a fifth more
light leaves .978, JPEG 10 or a quarter of the size .98, an edge of 1% cut off .96."""
LEAST_DEVIATION = 2.0
"""Of an image's detail, in grey values; a smoother one has nothing to be known by but its bytes."""
MOST_PAIRS = 20_000
"""Confirmed pairs beyond this are not listed: a set that is copied whole would have them by the million."""
_BLOCK = 2_048
_CONFIRMED_AT_ONCE = 4_096


@dataclass(frozen=True)
class Pair:
    """Two images of different groups that are the same.

    Attributes:
        first: index of the one.
        second: index of the other, which is larger.
        same_file: whether the files are the same to the byte.
        correlation: of their detail at 32 x 32.
    """

    first: int
    second: int
    same_file: bool
    correlation: float


@dataclass(frozen=True)
class Copies:
    """The duplicates in a data set.

    Attributes:
        pairs: across groups, the same file first, then by falling correlation. Of a file that is in many groups there
            is a pair for each but the first.
        complete: False if there were too many to list.
        num_within: files that are the same to the byte as another of their own group: no leak, but they count twice.
    """

    pairs: tuple[Pair, ...]
    complete: bool
    num_within: int


def find_copies(looks: Looks, groups: Sequence[str], on_done: Callable[[int], None] | None = None) -> Copies:
    """Finds the duplicate images.

    Every image is compared with every other, as products of matrices of ±1: 20,000 images take seconds.

    Args:
        looks: of N images.
        groups: theirs.
        on_done: called with the number of images that have been compared with all.
    """
    _, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    same, representatives, num_within = _same_files(looks.contents, codes)
    detailed = np.array([looks.details[index].std() >= LEAST_DEVIATION for index in representatives], dtype=bool)
    near, complete = _near(looks, codes, representatives[detailed], on_done)
    pairs = {(pair.first, pair.second): pair for pair in [*near, *same]}
    if on_done is not None:
        on_done(len(looks.contents))
    return Copies(
        tuple(sorted(pairs.values(), key=lambda pair: (not pair.same_file, -pair.correlation, pair.first))),
        complete,
        num_within,
    )


def linked(pairs: Sequence[Pair], groups: Sequence[str]) -> list[list[Pair]]:
    """The pairs by connected component of their groups: A with B and B with C are one."""
    root: dict[str, str] = {}

    def find(group: str) -> str:
        while (above := root.setdefault(group, group)) != group:
            root[group] = root[above]
            group = root[group]
        return group

    for pair in pairs:
        root[find(str(groups[pair.first]))] = find(str(groups[pair.second]))
    together: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        together[find(str(groups[pair.first]))].append(pair)
    return sorted(together.values(), key=lambda found: -len(found))


def _same_files(contents: Sequence[bytes], codes: NDArray[np.int64]) -> tuple[list[Pair], NDArray[np.int64], int]:
    """Pairs of files that are the same, the first index of each content, and how many are twice in one group."""
    by_content: defaultdict[bytes, dict[int, int]] = defaultdict(dict)
    num_within = 0
    for index, content in enumerate(contents):
        if content:
            first = by_content[content].setdefault(int(codes[index]), index)
            num_within += first != index
    pairs = []
    for indices in by_content.values():
        first, *others = indices.values()
        pairs += [Pair(first, other, True, 1.0) for other in others]
    firsts = [min(indices.values()) for indices in by_content.values()]
    return pairs, np.array(sorted(firsts), dtype=np.int64), num_within


def _near(
    looks: Looks, codes: NDArray[np.int64], rows: NDArray[np.int64], on_done: Callable[[int], None] | None
) -> tuple[list[Pair], bool]:
    """Confirmed pairs among ``rows``, and whether they are all."""
    signs = np.where(looks.bits[rows], np.float32(1), np.float32(-1))
    least = HASH_BITS - 2 * MOST_BITS  # of the product of two hashes as ±1
    pairs: list[Pair] = []
    for start in range(0, len(rows), _BLOCK):
        for other in range(start, len(rows), _BLOCK):
            ones, twos = np.nonzero(signs[start : start + _BLOCK] @ signs[other : other + _BLOCK].T >= least)
            ones, twos = rows[ones + start], rows[twos + other]
            kept = (ones < twos) & (codes[ones] != codes[twos])
            ones, twos = ones[kept], twos[kept]
            for begin in range(0, len(ones), _CONFIRMED_AT_ONCE):
                piece = slice(begin, begin + _CONFIRMED_AT_ONCE)
                agreed = correlations(looks.details, ones[piece], twos[piece])
                for place in np.flatnonzero(agreed >= LEAST_CORRELATION):
                    if len(pairs) == MOST_PAIRS:
                        return pairs, False
                    one, two = int(ones[piece][place]), int(twos[piece][place])
                    pairs.append(Pair(one, two, False, float(agreed[place])))
        if on_done is not None:
            on_done(min(start + _BLOCK, len(rows)))
    return pairs, True


def correlations(details: NDArray[np.int8], ones: NDArray[np.int64], twos: NDArray[np.int64]) -> NDArray[np.float64]:
    """Normalised correlation of P pairs: 1 where one is the other with another brightness and contrast.

    Args:
        details: (N, S, S), none of them without any.
        ones: (P,) indices.
        twos: (P,) indices.

    Returns:
        (P,) from -1 to 1.
    """

    def standard(indices: NDArray[np.int64]) -> NDArray[np.float32]:
        values = details[indices].reshape(len(indices), -1).astype(np.float32)
        values -= values.mean(axis=1, keepdims=True)
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        return values

    found: NDArray[np.float64] = np.einsum("pv,pv->p", standard(ones), standard(twos)).astype(np.float64)
    return found.clip(-1, 1)
