"""Words for what a contract asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def expect(holds: object, row: Any, rule: str) -> None:
    """Checks what a contract asks of a row.

    Args:
        holds: whether it does as it should.
        row: the row's settings.
        rule: what was expected, as the end of "LOSS must".

    Raises:
        AssertionError: it does not.
    """
    if not holds:
        raise AssertionError(f"{type(row).__name__} must {rule}; found otherwise with {row!r}")


def expect_equal(found: Tensor, wanted: Tensor, row: Any, rule: str, atol: float = 0.0, rtol: float = 0.0) -> None:
    """Checks that two tensors are the same, or nearly so.

    Raises:
        AssertionError: they are not; it says by how much.
    """
    expect(found.shape == wanted.shape, row, f"{rule}, of shape {tuple(wanted.shape)}, not {tuple(found.shape)}")
    if not found.isclose(wanted.to(found.dtype), atol=atol, rtol=rtol).all():
        away = (found - wanted).abs().max().item()
        raise AssertionError(f"{type(row).__name__} must {rule}; found {away:g} away with {row!r}")


def expect_refusal(action: Callable[[], object], row: Any, begins: str, rule: str) -> None:
    """Checks that something is refused by a ``ValueError`` in one line.

    Args:
        action: what must be refused.
        row: the row's settings.
        begins: how the line begins.
        rule: what was expected.

    Raises:
        AssertionError: it is not, or in another way.
    """
    try:
        action()
    except ValueError as error:
        line = str(error)
        expect(line.startswith(begins) and "\n" not in line, row, f"{rule}, in one line from {begins!r}, not {line!r}")
    else:
        expect(False, row, rule)
