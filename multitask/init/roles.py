"""Roles of the columns of a set: the tasks, the group and the split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multitask.data.sources.table_rows import MISSING_GROUPS
from multitask.errors import UserError, nearest
from multitask.init.layouts import Observed, Options
from multitask.init.tasks import FoundTask, binned_task, class_task
from multitask.init.words import (
    MAX_PRODUCT,
    MIN_NUMBERS,
    Kind,
    clean,
    is_number,
    kind_of,
    split_words,
    task_name,
    with_none,
    with_points,
)
from multitask.labels import MISSING
from multitask.utils.spelling import canonical
from multitask.utils.strings import Strings

MAX_TASKS = 4
"""That are taken of columns nobody named; a product of more has few images in each class."""


class NoLabelsError(UserError):
    """No column makes a task."""


@dataclass(frozen=True)
class Roles:
    """What the columns of a set are.

    Attributes:
        tasks: in the order of their columns.
        words: of each column of ``tasks``, group and split, the images' words once they are cleaned.
        group: the column of groups; None: there is none.
        split: likewise.
        splits: the words in it, by side.
        left_out: column -> why it is none of these.
        rewritten: whether a source would refuse some words as they are.
        check: what the user should look at, a sentence each.
    """

    tasks: tuple[FoundTask, ...]
    words: Mapping[str, Strings]
    group: str | None
    split: str | None
    splits: Mapping[str, Sequence[str]] | None
    left_out: Mapping[str, str]
    rewritten: bool
    check: tuple[str, ...]


def find_roles(observed: Observed, options: Options, where: str) -> Roles:
    """What the columns are: as the user says, else as the layout does, else as their words do.

    Raises:
        UserError: no column makes a task, or a named one does not; the line begins with ``where``.
    """
    for column in (*options.labels, *filter(None, [options.group])):
        if column not in observed.columns:
            raise UserError(f"{where}: has no column {column!r}{nearest(column, observed.columns)}")
    raw = {column: Strings.of(values) for column, values in observed.columns.items()}
    pointed = {column: with_points(values) for column, values in raw.items()}
    words = {column: clean(values) for column, values in pointed.items()}
    kinds = {column: kind_of(column, values) for column, values in words.items()}
    group = options.group or observed.group or _first(kinds, "group")
    split = observed.split or (None if observed.names_tasks else _first(kinds, "split"))
    splits = None if split is None else split_words(words[split].distinct())
    check = []
    if split is None or splits is None:
        split = splits = None
    elif "" in words[split].distinct():
        check.append(f"the split column {split!r} is empty for some images: it is not used, and the split is random")
        split = splits = None
    elif group is not None and (torn := _torn(words[group], words[split])):
        check.append(
            f"the split column {split!r} has {torn:,} of the groups ({group}) on two sides, which would leak: it is "
            "not used, and the split is random by groups"
        )
        split = splits = None
    for column in words.keys() - {group, split}:
        cleaned, words[column] = words[column], with_none(pointed[column], words[column])
        if words[column] is not cleaned:
            kinds[column] = kind_of(column, words[column])
    named = options.labels or observed.labels
    left_out: dict[str, str] = {}
    tasks: list[FoundTask] = []
    for column in named or [column for column in words if column not in (group, split)]:
        task = _task(column, words[column], kinds[column], observed, tasks, bool(named))
        if isinstance(task, str):
            left_out[column] = task
            if column in options.labels:
                raise UserError(f"{where}: column {column!r} is no label: it is {task}")
        else:
            tasks.append(task)
    if not tasks:
        why = "; ".join(f"{column} is {reason}" for column, reason in list(left_out.items())[:4])
        raise NoLabelsError(f"{where}: no label has two values or more{': ' + why if why else ''}")
    rewritten = any(_refused(raw[task.column], words[task.column], task) for task in tasks)
    rewritten |= group is not None and not {"", *MISSING_GROUPS}.isdisjoint(raw[group].distinct())
    for column in (task.column for task in tasks if pointed[task.column] is not raw[task.column]):
        rewritten = True
        check.append(f"the numbers of {column} have decimal commas, which are read as points")
    for task in tasks:
        if told := sorted({*map(canonical, raw[task.column][words[task.column] == ""].distinct())} - {""}):
            check.append(f"{task.name} is {', '.join(told)} for some images: taken for unknown")
    used = {column: words[column] for column in (*(task.column for task in tasks), *filter(None, (group, split)))}
    return Roles(tuple(tasks), used, group, split, splits, left_out, rewritten, tuple(check))


def _first(kinds: Mapping[str, Kind], name: str) -> str | None:
    return next((column for column, kind in kinds.items() if kind.name == name), None)


def _torn(groups: Strings, sides: Strings) -> int:
    """How many groups are on two sides."""
    known = groups != ""
    sides = sides.respelt(str.casefold)
    places = groups.codes[known].astype(np.int64) * len(sides.names) + sides.codes[known]
    return int((np.unique(np.unique(places) // len(sides.names), return_counts=True)[1] > 1).sum())


def _task(
    column: str, words: Strings, kind: Kind, observed: Observed, tasks: list[FoundTask], named: bool
) -> FoundTask | str:
    """The task of a column, or why it is none."""
    distinct = [word for word in words.distinct() if word]
    if len(distinct) < 2:
        return f"always {distinct[0]!r}" if distinct else "empty"
    if not named and kind.name not in ("label", "number"):
        return kind.why or f"not a label ({kind.name})"
    name = column if observed.names_tasks else task_name(column, ("path", *(task.name for task in tasks)))
    task = None
    numbers = kind.name == "number" or (named and len(distinct) >= MIN_NUMBERS and all(map(is_number, distinct)))
    if column in observed.edges or (numbers and column not in observed.classes):
        task = binned_task(name, column, words, observed.edges.get(column, ()))
    if task is None:
        joined = words.respelt(lambda word: word.replace("/", " or "))
        task = class_task(name, column, joined, observed.classes.get(column, ()))
    if named:
        return task
    for other in tasks:
        if _num_distinct(other, task) == max(_num_distinct(other), _num_distinct(task)):
            finer = other if len(other.classes) >= len(task.classes) else task
            if len(other.classes) == len(task.classes):
                return f"the same as {other.column}"
            if finer is other:
                return f"decided by {other.column}"
    product = len(task.classes)
    for other in tasks:
        product *= len(other.classes)
    if len(tasks) == MAX_TASKS or (tasks and product > min(MAX_PRODUCT, max(8, len(words)))):
        return "one label too many for a product that is found by itself"
    return task


def _refused(raw: Strings, words: Strings, task: FoundTask) -> bool:
    """Whether a source would refuse a word, or take what means "unknown" for a label."""
    if task.unknown or any("/" in word for word in words.distinct()):
        return True
    return any(word.strip() for word in raw[words == ""].distinct())


def _num_distinct(*tasks: FoundTask) -> int:
    """How many combinations of the labels of some tasks there are, an unknown one counted as another label."""
    codes = np.zeros(len(tasks[0].labels), dtype=np.int64)
    for task in tasks:
        codes = codes * (len(task.classes) + 1) + task.labels - MISSING
    return len(np.unique(codes))
