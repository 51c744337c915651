"""Views of tables and plots for templates, in which everything is text already."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it says.
        note: a small line below.
        strong: bold.
        title: what is told of it on hovering.
    """

    text: str
    note: str = ""
    strong: bool = False
    title: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a table, its cells beside its name; a strong one is bold."""

    name: str
    cells: tuple[Cell, ...]
    strong: bool = False

    @classmethod
    def of(cls, name: str, *texts: str, strong: bool = False) -> Row:
        """A row of cells that are texts alone."""
        return cls(name, tuple(map(Cell, texts)), strong)


@dataclass(frozen=True)
class Table:
    """Rows below the names of their columns."""

    heads: tuple[str | Markup, ...]
    rows: tuple[Row, ...]
    name: str = ""


@dataclass(frozen=True)
class DistributionView:
    """How often each class of a task occurs; a long plot scrolls."""

    name: str
    plot: Markup
    long: bool


@dataclass(frozen=True)
class PlotView:
    """An SVG with its title and the words beside it."""

    title: str | Markup
    plot: Markup
    words: str = ""
