"""Classes without images, in words: what they cost, and what to write if they cannot occur."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from multitask.reporting.text import plural, score_text
from multitask.settings.yaml_text import dump_yaml

NAMED = 8
ROWS = 40
"""Lines of ``labels.impossible`` that are shown; ``report.json`` has them all."""


def never_in_words(names: Sequence[str], num_possible: int) -> str:
    """The cost of the classes that are in no split, and the cure; empty where there are none.

    Args:
        names: theirs.
        num_possible: of how many classes that can occur.
    """
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
    )


def impossible_yaml(selections: Sequence[Mapping[str, str]]) -> str:
    """The lines for a config by which classes without images are declared impossible; empty where there are none."""
    if not selections:
        return ""
    text = dump_yaml({"labels": {"impossible": [dict(selection) for selection in selections[:ROWS]]}})
    more = len(selections) - ROWS
    return text + (f"  # and {more:,} more\n" if more > 0 else "")
