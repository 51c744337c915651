"""A report that was written before: read back, and its page drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from multitask.errors import UserError
from multitask.utils.files import write_atomically
from multitask.utils.records import read_record

R = TypeVar("R")


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """A context in which an error in using what a file holds is reported as damage to that file.

    For files that are whole pages of figures, whose every key is only looked at where it is shown.

    Raises:
        UserError: a key is missing, or what stands there is of another kind.
    """
    from jinja2 import UndefinedError

    try:
        yield
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{path}: is damaged: there is no {error}") from None
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        StopIteration,
        TypeError,
        UndefinedError,
        ValueError,
    ) as error:
        raise UserError(f"{path}: is damaged: {error}") from None


def draw_page(report: Path, schema: type[R], page: Path, render: Callable[[R], str]) -> R:
    """Writes the page of a report as its file has it, so that the page is the same whenever it is drawn.

    Args:
        report: the file.
        schema: its record.
        page: the HTML file to write.
        render: the record to a page.

    Returns:
        The record.

    Raises:
        UserError: the report cannot be read, or is damaged.
    """
    record = read_record(report, schema)
    with reading(report):
        text = render(record)
    write_atomically(page, text)
    return record
