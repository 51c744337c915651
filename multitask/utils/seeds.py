"""Seeds: every random choice has one, derived from the config's seed by purpose."""

from __future__ import annotations

import zlib

import numpy as np


def derive(seed: int, *purpose: str | int) -> int:
    """A seed for one purpose: far from that of any other purpose, the same on every machine.

    Args:
        seed: the config's seed.
        purpose: words and counters (``"augment", epoch, batch``).

    Returns:
        A number in [0, 2**31).
    """
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in purpose]
    # With their number last, which is never 0: numpy takes [1, 2] and [1, 2, 0] for the same.
    return int(np.random.SeedSequence([seed, *words, len(words) + 1]).generate_state(1)[0] >> 1)
