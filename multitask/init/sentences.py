"""The sentences of a proposal: assumptions, and things for the user to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from multitask.utils.spelling import may_mean_unknown, plural

if TYPE_CHECKING:
    from multitask.init.draft import Draft

VAL_FRACTION = 0.2
"""Of the groups, who validate where nothing says who does."""
_RARE_RATIO = 10
_FEW = 20
_NAMED = 4


def assumptions(draft: Draft) -> Iterator[str]:
    """What a draft takes for granted, a sentence each."""
    roles = draft.roles
    if roles.left_out:
        yield f"no task is made of {', '.join(_left_out(roles.left_out))}; --labels names what you want"
    for task in draft.tasks:
        if task.kind == "binned":
            yield f"{task.name} is a number; its classes are {', '.join(task.classes)}"
        if task.kind == "ordinal":
            yield f"{task.name} is in order: {', '.join(task.classes)}"
    if roles.group is None:
        yield "each image is on its own: no column or folder says whose it is"
    else:
        num = roles.words[roles.group].num_distinct
        yield f"{roles.group} says which images stay together ({plural(num, 'group', 'groups')})"
    if roles.split is None:
        yield f"nothing says who validates: {VAL_FRACTION:.0%} of the groups do, at random"
    else:
        sides = {side: words for side, words in (roles.splits or {}).items() if words}
        yield f"{roles.split} says who does what: {', '.join(sides)}"
    if draft.located is not None:
        what = "a box" if draft.located.key == "box" else "both eyes"
        columns = ", ".join(draft.located.columns)
        yield f"{columns} place {what} in each image, in pixels, by which it is cropped ({draft.located.crop})"
    if draft.impossible:
        num = len(draft.impossible)
        what = "cell is" if num == 1 else "cells are"
        yield f"{num:,} {what} never seen though ten images or more would be expected: taken for impossible"
    if draft.plan.backbone["weights"] == "none":
        yield "no pretrained weights, so that it trains as it is; with them the scores would be better"
    if draft.table is not None:
        yield f"the labels go to {draft.table.name}, which the config reads"
    if draft.images is not None:
        yield f"the images go to {draft.images.name}, as the files that they hold"


def _left_out(reasons: Mapping[str, str]) -> Iterator[str]:
    """Columns that are no task, those with one reason together."""
    for why in dict.fromkeys(reasons.values()):
        columns = [column for column, reason in reasons.items() if reason == why]
        more = f" and {len(columns) - _NAMED:,} more" if len(columns) > _NAMED else ""
        yield f"{', '.join(columns[:_NAMED])}{more} ({why})"


def checks(draft: Draft) -> Iterator[str]:
    """What the user should look at, likewise."""
    for task in draft.tasks:
        counts = task.counts
        rarest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        if counts[most] >= _RARE_RATIO * counts[rarest]:
            yield (
                f"{task.name} is uneven: {plural(counts[most], 'image', 'images')} of {most}, {counts[rarest]:,} of "
                f"{rarest}; "
                "data.sampler: {name: class_weighted, power: 0.5} draws rare ones more often"
            )
        few = [name for name, count in counts.items() if count < _FEW]
        if few:
            named = ", ".join(few[:5]) + (", ..." if len(few) > 5 else "")
            yield f"{task.name} has fewer than {_FEW} images of {named}"
        lower = [name.casefold() for name in task.classes]
        if len(set(lower)) < len(lower):
            yield f"{task.name} has classes that differ only in upper and lower case"
        for name in filter(may_mean_unknown, task.classes):
            yield f"{task.name} has a class {name!r}; if it stands for unknown, leave its cells empty"
        if task.unknown:
            codes = ", ".join(f"{number:g}" for number in task.unknown)
            yield f"{task.name} is {codes} for some images: taken for unknown"
    if draft.sizes.num_unread:
        num = draft.sizes.num_unread + len(draft.sizes.sizes)
        yield (
            f"{draft.sizes.num_unread:,} of {plural(num, 'image', 'images')} that were tried cannot be read; "
            "training will name them"
        )
    if draft.impossible:
        yield "labels.impossible: remove the cells that can occur"
