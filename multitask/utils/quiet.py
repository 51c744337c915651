"""Libraries kept from filling the screen, for as long as they work for us."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_errors(logger: str) -> Iterator[None]:
    """A context in which a logger, by its name, says nothing below an error."""
    found = logging.getLogger(logger)
    level = found.level
    found.setLevel(logging.ERROR)
    try:
        yield
    finally:
        found.setLevel(level)
