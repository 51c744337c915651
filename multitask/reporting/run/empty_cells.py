"""Classes without images, in words: what they cost, and what to write if they cannot occur."""

from __future__ import annotations

from multitask.data.empty_cells import MIN_EXPECTED, EmptyCells
from multitask.reporting.text import score_text
from multitask.settings.yaml_text import dump_yaml
from multitask.utils.spelling import plural

NAMED = 8
ROWS = 40
"""Lines of ``labels.impossible`` that are shown; ``report.json`` has them all."""


def never_in_words(empty: EmptyCells, num_possible: int) -> str:
    """The cost of the classes that are in no split, and the cure; empty where there are none.

    Args:
        empty: theirs.
        num_possible: of how many classes that can occur.
    """
    names = empty.never
    if not names:
        return ""
    num = len(names)
    listed = ", ".join(names[:NAMED]) + (f" and {num - NAMED:,} more" if num > NAMED else "")
    have, they, count, are = ("has", "it", "counts", "is") if num == 1 else ("have", "they", "count", "are")
    ceiling = score_text(1 - num / num_possible)
    return (
        f"{num:,} of {plural(num_possible, 'class', 'classes')} {have} no image in any split: {listed}. "
        f"{they.capitalize()} {count} as F1 0, so that macro-F1 is at most {ceiling}. If {they} "
        f"cannot occur, labels.impossible should say so: {they} {are} then neither answered nor counted."
        f"{_partly(empty)}{_by_chance(empty)}"
    )


def _partly(empty: EmptyCells) -> str:
    """On images that do not tell their class, a sentence after a space; empty where there are none."""
    num = empty.num_partly
    if not num:
        return ""
    which = "One image has" if num == 1 else f"{num:,} images have"
    return f" {which} some labels only: taken for a class that fits and has images with all labels, where there is one."


def _by_chance(empty: EmptyCells) -> str:
    """On the selections that are not shown, a sentence after a space; empty where all are."""
    num = len(empty.impossible) - len(_expected(empty))
    if not num:
        return ""
    which, are = ("One line", "is") if num == 1 else (f"{num:,} lines", "are")
    return (
        f" {which} for it {are} left out: fewer than {MIN_EXPECTED:g} groups would be expected to have the labels "
        "together, were the tasks independent, so chance alone may be why none has."
    )


def _expected(empty: EmptyCells) -> tuple[dict[str, str], ...]:
    return empty.impossible if empty.num_expected is None else empty.impossible[: empty.num_expected]


def impossible_yaml(empty: EmptyCells) -> str:
    """The lines for a config by which classes without images are declared impossible; empty where there are none.

    Those are left out that may be empty by chance.
    """
    selections = _expected(empty)
    if not selections:
        return ""
    text = dump_yaml({"labels": {"impossible": list(selections[:ROWS])}})
    more = len(selections) - ROWS
    return text + (f"  # and {more:,} more\n" if more > 0 else "")
