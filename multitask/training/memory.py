"""Memory that one step frees, kept for the next."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
_NEVER = -1
_LARGEST = 1 << 30, 32 << 20
"""Bytes of the largest block that is kept; older releases of glibc take no more than the second."""


def keep_freed_memory() -> None:
    """Keeps what is freed for what is allocated next, where the C library is glibc.

    It would give blocks as large as activations back to the system at every step, and the system hands them out anew
    page by page, each filled with zeros first: a tenth of a training step on a CPU. What the process needs at most is
    the same; it is given back when the process ends.
    """
    with suppress(AttributeError, OSError, TypeError):  # other libraries have no mallopt, or one cannot ask them so
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _NEVER)
        any(mallopt(_MMAP_THRESHOLD, largest) for largest in _LARGEST)
