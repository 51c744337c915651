"""The contract of sources."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from multitask.data.samples import Samples
from multitask.data.sources import SourceSettings
from multitask.errors import UserError
from multitask.labels import MISSING, LabelSpace
from multitask.testing.expect import expect, expect_refusal
from multitask.utils.tar_files import is_member


def samples_are_whole(settings: SourceSettings, root: Path, space: LabelSpace) -> None:
    """Images are files, each once; every one has a group and labels of the label space."""
    settings.check(space)
    _expect_whole(settings, settings.samples(root, space), space, "samples")


def _expect_whole(settings: SourceSettings, samples: Samples, space: LabelSpace, what: str) -> None:
    expect(len(samples) > 0, settings, f"find {what} in a folder that has some")
    expect(samples.space == space, settings, f"give {what} of the label space that it was given")
    images = list(samples.images)
    expect(len(set(images)) == len(images), settings, f"give each image of the {what} once")
    missing = [path for path in samples.paths() if not _is_file(path)]
    expect(not missing, settings, f"give {what} whose images are files below their root; {missing[:1]} is none")
    expect(all(isinstance(group, str) and group for group in samples.groups), settings, f"give {what} a group each")
    sizes = np.array([task.num_classes for task in space.tasks])
    inside = (samples.labels >= MISSING) & (samples.labels < sizes)
    expect(inside.all(), settings, f"give {what} labels that are indices of classes, or {MISSING} where unknown")
    expect((samples.weights >= 0).all(), settings, f"give {what} no weight below 0")
    _expect_numbers(settings, samples, space, what)
    if samples.sides is not None:
        pairs = set(zip(samples.groups, samples.sides.tolist(), strict=True))
        expect(len(pairs) == samples.num_groups, settings, "put all images of a group on the same side of a split")


def _is_file(path: Path) -> bool:
    return path.is_file() or is_member(path)


def _expect_numbers(settings: SourceSettings, samples: Samples, space: LabelSpace, what: str) -> None:
    for column, task in enumerate(space.tasks):
        numbers, labels = samples.numbers[:, column], samples.labels[:, column]
        known = ~np.isnan(numbers)
        if task.kind != "binned":
            expect(not known.any(), settings, f"give no numbers of {task.name}, which is {task.kind}")
            continue
        fits = np.searchsorted(task.edges, numbers[known], side="right") == labels[known]
        expect(fits.all(), settings, f"give {what} numbers of {task.name} that are in the range of their class")


def reads_the_same_twice(settings: SourceSettings, root: Path, space: LabelSpace) -> None:
    """In the same order too, since splits and seeds rely on it."""
    one, other = settings.samples(root, space), settings.samples(root, space)
    for name, column in one.columns().items():
        same = np.array_equal(column, other.columns()[name], equal_nan=column.dtype.kind == "f")
        expect(same, settings, f"give the same {name} in the same order each time")


def queries_are_files_and_their_answers_are_of_them(settings: SourceSettings, root: Path, space: LabelSpace) -> None:
    """Where there are any; a folder without them is an error in one line, which says so."""
    try:
        queries = settings.queries(root)
    except UserError:
        return
    ids = list(queries.ids)
    expect(len(set(ids)) == len(ids) == len(queries.paths), settings, "name each image that is asked for once")
    expect(all(_is_file(path) for path in queries.paths), settings, "ask for images that are files")
    header, *rows = queries.table(np.zeros(len(ids), dtype=np.int64), space)
    right = [row[0] for row in rows] == ids and {len(row) for row in rows} <= {len(header)}
    expect(right, settings, "answer with a row for each image, in their order, as wide as the header")
    try:
        answered = settings.answered(root, space)
    except UserError:
        return
    _expect_whole(settings, answered, space, "answers")
    same = list(answered.paths()) == list(queries.paths)
    expect(same, settings, "give the answers to the images that are asked for, in their order")


def empty_folder_is_an_error_in_one_line(settings: SourceSettings, root: Path, space: LabelSpace) -> None:
    """Which names it; not for sources that have roots of their own."""
    if settings.nests:
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        actions: tuple[Callable[[], object], ...] = (
            lambda: settings.samples(folder, space),
            lambda: settings.queries(folder),
        )
        for action in actions:
            expect_refusal(action, settings, "", "refuse an empty folder")
            try:
                action()
            except ValueError as error:
                named = str(folder) in str(error)
                expect(named, settings, f"name the folder that it finds nothing in, not say {error}")


SOURCE_CHECKS = (
    samples_are_whole,
    reads_the_same_twice,
    queries_are_files_and_their_answers_are_of_them,
    empty_folder_is_an_error_in_one_line,
)
"""What is checked of a source, each alone."""


def check_source(settings: SourceSettings, root: Path, space: LabelSpace) -> None:
    """The contract of sources, whole, over one of them.

    Args:
        settings: the source.
        root: a folder in its layout, with some images in it.
        space: the label space of these images.

    Raises:
        AssertionError: it does not keep it; the message says what was expected.
        UserError: the folder is not in its layout.
    """
    for check in SOURCE_CHECKS:
        check(settings, root, space)
