"""The console's part for data sets: what was found, in sentences and a table."""

from __future__ import annotations

from rich.cells import cell_len

from multitask.data.eda import Inspection
from multitask.labels import JOINT
from multitask.reporting.console import make_table, out, say, say_wrapped, show_table
from multitask.reporting.eda.text import NAMED, any_whole, forms, sentences
from multitask.reporting.run.console import CLASS_ROWS
from multitask.reporting.run.empty_cells import impossible_yaml
from multitask.utils.spelling import plural

_FORMS = 4


def show_inspection(found: Inspection) -> None:
    """An inspection on the console: sentences, groups and images of every class, leaks, unreadable files."""
    say()
    for sentence in sentences(found):
        style = (
            "red"
            if sentence.endswith("leak.") or "cannot be read" in sentence or " confounded with " in sentence
            else ""
        )
        say_wrapped(sentence, style)
    if found.empty.never and (lines := impossible_yaml(found.empty)):
        say(lines.rstrip())
    _show_counts(found)
    _show_looks(found)
    if found.leaks:
        say()
        say("groups with images in common, on both sides of the split:")
        for item in found.leaks[:NAMED]:
            where = [f"{group} ({part})" for group, part in zip(item.groups, item.splits, strict=True)]
            say_wrapped(f"{' = '.join(where[:NAMED])}: {plural(len(item.pairs), 'pair', 'pairs')}", bullet="  ")
    if found.looks.faults:
        say()
        say("cannot be read:")
        for index in sorted(found.looks.faults)[:NAMED]:
            say_wrapped(f"{found.samples.images[index]}: {found.looks.faults[index]}", bullet="  ")
        if len(found.looks.faults) > NAMED:
            say(f"  and {len(found.looks.faults) - NAMED} more")


def _show_counts(found: Inspection) -> None:
    parts = [part for part, indices in found.parts.items() if len(indices)]
    columns = [f"{part} {kind}" for part in parts for kind in ("groups", "images")]
    for name, counts in found.counts.items():
        if len(counts.names) > CLASS_ROWS or (name == JOINT and not any_whole(found)):
            continue  # left to the page, or a table of zeros
        say()
        table = make_table("classes" if name == JOINT else name, ("", *columns))
        table.columns[0].min_width = min(max(map(cell_len, counts.names)), out.width // 2)  # headings wrap first
        space = found.samples.space
        possible = space.possible if name == JOINT else space.possible_labels(name)
        for index, label in enumerate(counts.names):
            if not possible[index]:
                continue
            cells = [int(kind[part][index]) for part in parts for kind in (counts.groups, counts.images)]
            untrained = not counts.groups["train"][index]
            table.add_row(label, *(f"{cell:,}" for cell in cells), style="red" if untrained else "")
        show_table(table)


def _show_looks(found: Inspection) -> None:
    rows = forms(found)
    if not rows:
        return
    say()
    named = [f"{num:,} {form} {size}" for form, size, num in rows[:_FORMS]]
    more = len(rows) - _FORMS
    say_wrapped(f"formats and sizes: {', '.join(named)}{f' and {more} more' if more > 0 else ''}")
