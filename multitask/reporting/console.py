"""The console: lines and tables. With those of a run, an audit, a study and a bake-off, the only place that prints."""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from multitask.errors import printable
from multitask.reporting.text import moment_text
from multitask.utils.files import size_text


def new_console(*, stderr: bool = False) -> Console:
    """A console that shows names as they are: to rich a class ``[red]`` is a colour, and ``:cat:`` an emoji."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


out = new_console()

_err = new_console(stderr=True)


def say(text: str = "") -> None:
    """A line, not wrapped, so that a path in it can be copied."""
    out.print(text, soft_wrap=True)


def say_wrapped(text: str, style: str = "", bullet: str = "", console: Console | None = None) -> None:
    """A sentence, broken between words where a person reads it, whole where a program does.

    Args:
        text: the sentence; a word that is longer than a line, as a path, stays whole, so that it can be copied.
        style: one of rich's.
        bullet: stands before the sentence, whose lines are all behind it.
        console: where, if not on the standard output.
    """
    _print_wrapped(Text(text, style=style), bullet, console or out)


def fail(message: str) -> None:
    """An error on the error stream: one line, which breaks between words in a terminal."""
    _print_wrapped(Text.assemble(("error: ", "bold red"), printable(message)), "", _err)


def warn(message: str) -> None:
    """A warning on the error stream, in the same way."""
    _print_wrapped(Text.assemble(("warning: ", "yellow"), printable(message)), "", _err)


def _print_wrapped(text: Text, bullet: str, console: Console) -> None:
    """Rich's own wrapping cuts words that are longer than a line."""
    lines = text.divide(_breaks(text.plain, console.width - cell_len(bullet))) if console.is_terminal else [text]
    for number, line in enumerate(lines):
        line.rstrip()
        before = " " * cell_len(bullet) if number else bullet
        console.print(Text.assemble(before, line), soft_wrap=True)


def _breaks(text: str, width: int) -> list[int]:
    """Where lines of at most ``width`` columns begin, but for the first; only a word may be wider."""
    breaks: list[int] = []
    taken = 0
    for word in re.finditer(r"\S+\s*", text):
        size = cell_len(word.group().rstrip())
        if taken and taken + size > width:
            breaks.append(word.start())
            taken = 0
        taken += cell_len(word.group())
    return breaks


def command_line(*words: object) -> str:
    """Words as a line that a shell takes."""
    return shlex.join(str(word) for word in words)


def score(value: float | None) -> str:
    """A score in [0, 1] as ``.873``; a dash where there is none."""
    if value is None or math.isnan(value):
        return "-"
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    """A score with its interval: ``.873 (.81 to .92)``, in full where there is room."""
    if interval is None:
        return score(value)
    return f"{score(value)} ({score(interval[0])} to {score(interval[1])})"


# --- tables -----------------------------------------------------------------------------------------------------


def make_table(title: str, columns: Sequence[str], left: int = 1) -> Table:
    """A table without lines; its first ``left`` columns stand to the left, the others, numbers, to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", overflow="fold")
    return table


def show_table(table: Table) -> None:
    """A table below its title, which rich itself would break where the table's last column ends."""
    title, table.title = str(table.title or ""), None
    if title:
        say_wrapped(title, style="bold")
    out.print(table)


def show_bench(rows: Sequence[Any]) -> None:
    """Measured ratios with their range over the rounds, and what they should at least be."""
    say()
    table = make_table("", ("measured", "ratio", "half of rounds", "at least", "ours", "other", ""))
    for row in rows:
        missed = row.bound is not None and row.ratio < row.bound
        table.add_row(
            row.name,
            f"{row.ratio:.3f}",
            "-" if row.low is None else f"{row.low:.2f} to {row.high:.2f}",
            "-" if row.bound is None else f"{row.bound:g}",
            f"{row.ours:,.0f}" if row.ours >= 10 else f"{row.ours:.2g}",
            f"{row.other:,.0f}" if row.other >= 10 else f"{row.other:.2g}",
            row.unit,
            style="bold red" if missed else "",
        )
    show_table(table)
    for row in rows:
        if row.note:
            say_wrapped(f"{row.name}: {row.note}")


def show_cache(folder: Path, files: Sequence[Any], exports: Sequence[Path]) -> None:
    """The arrays and the exported runs that are kept in a folder, with what they take."""
    total = sum(file.num_bytes for file in files)
    say_wrapped(f"{folder}: {len(files)} {'file' if len(files) == 1 else 'files'}, {size_text(total)}")
    if exports:
        runs = sum(path.suffix == ".onnx" for path in exports)
        taken = size_text(sum(path.stat().st_size for path in exports))
        say_wrapped(f"{exports[0].parent}: {runs} exported {'run' if runs == 1 else 'runs'}, {taken}")
    if not files:
        return
    table = make_table("", ("kind", "file", "made (UTC)", "images", "of each", "size"), left=3)
    shards = [file for file in files if file.kind == "shards"]  # of a set there may be thousands
    if shards:
        made = _made(max(file.made for file in shards))
        size = size_text(sum(file.num_bytes for file in shards))
        table.add_row("shards", f"of {len(shards):,}", made, "-", "-", size)
    for file in files:
        if file.kind == "shards":
            continue
        shape = ("?", "damaged") if file.shape is None else (f"{file.shape[0]:,}", " x ".join(map(str, file.shape[1:])))
        made = _made(file.made)
        table.add_row(
            file.kind, file.path.stem.removeprefix(f"{file.kind}-")[:12], made, *shape, size_text(file.num_bytes)
        )
    show_table(table)


def _made(seconds: float) -> str:
    """Without its time zone, for which a terminal of 80 columns has no room in each row."""
    return moment_text(datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat())


def show_paths(paths: Mapping[str, Path]) -> None:
    """A line for each file that was written, with its path; none for what is not there, as the best of no trials."""
    paths = {name: path for name, path in paths.items() if path.exists()}
    say()
    width = max(map(len, paths), default=0)
    for name, path in paths.items():
        say(f"{name:<{width}}  {path}")


def show_yaml(text: str) -> None:
    """A config, as it can be read back."""
    sys.stdout.write(text)
