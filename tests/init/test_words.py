"""Columns by their names and words."""

from __future__ import annotations

import numpy as np
import pytest

from multitask.init.edges import find_edges
from multitask.init.never import never_seen
from multitask.init.tasks import class_task
from multitask.init.words import clean, kind_of, split_words, task_name
from multitask.labels.settings import RESERVED
from multitask.utils.strings import Strings


@pytest.mark.parametrize(
    ("name", "words", "kind"),
    [
        ("garment", ["shirt", "shoe"] * 20, "label"),
        ("age", [str(20 + row % 30) for row in range(90)], "number"),
        ("price", [f"{row}.5" for row in range(90)], "number"),
        ("row", [str(row) for row in range(90)], "other"),
        ("person_id", [f"p{row // 3}" for row in range(90)], "group"),
        ("deck_id", [f"d{row // 3}" for row in range(90)], "group"),
        ("ownerID", [str(row // 3) for row in range(90)], "group"),
        ("deck_id", [f"d{row % 12}" for row in range(900)], "label"),
        ("breed_id", [f"b{row // 5}" for row in range(90)], "label"),
        ("humid", [f"h{row // 5}" for row in range(90)], "label"),
        ("uuid", [f"u{row}" for row in range(90)], "other"),
        ("split", ["train", "VAL"] * 20, "split"),
        ("usage", ["casual", "formal"] * 20, "label"),
        ("fold", ["0", "1"] * 20, "other"),
        ("width", [str(row % 50) for row in range(90)], "other"),
        ("text", [f"words {row}" for row in range(90)], "other"),
        ("one", ["same"] * 9, "other"),
        ("none", [""] * 9, "other"),
    ],
)
def test_kinds(name: str, words: list[str], kind: str) -> None:
    assert kind_of(name, Strings.of(words)).name == kind


def test_clean_words() -> None:
    assert clean(Strings.of([" a\u00a0", "NaN", "1.0", "None", "1.5"])).tolist() == ["a", "", "1", "", "1.5"]


def test_split_words() -> None:
    assert split_words(["train", "Test", ""]) == {"train": ["train"], "val": [], "test": ["Test"]}
    assert split_words(["train"]) is None
    assert split_words(["train", "other"]) is None


def test_names_of_tasks() -> None:
    assert task_name("mask type") == "mask_type"
    assert task_name("2nd") == "_2nd"
    assert [task_name(name) for name in RESERVED] == [f"{name}_" for name in RESERVED]
    assert task_name("a", ["a"]) == "a_"


@pytest.mark.parametrize(
    ("words", "classes", "kind"),
    [
        (["60-69", "0-2", "more than 70"], ("0-2", "60-69", "more than 70"), "ordinal"),
        ([">=50", "<20", "20-50"], ("<20", "20-50", ">=50"), "ordinal"),
        (["High", "low", "Medium"], ("low", "Medium", "High"), "ordinal"),
        (["10", "9", "2"], ("2", "9", "10"), "nominal"),
        (["b", "a"], ("a", "b"), "nominal"),
    ],
)
def test_classes_in_order(words: list[str], classes: tuple[str, ...], kind: str) -> None:
    found = class_task("x", "x", Strings.of([*words, ""]))
    assert (found.classes, found.kind) == (classes, kind)
    assert [found.classes[label] for label in found.labels[:-1]] == words
    assert found.labels[-1] == -1


@pytest.mark.parametrize(
    ("numbers", "edges"),
    [
        (range(18, 100), (40.0, 70.0)),
        ([number / 1000 for number in range(1000)], (0.3, 0.7)),
        ([0.0] * 90 + [1.0] * 10, (1.0,)),
        ([5.0] * 10, ()),
        (range(-100, 100), (-50.0, 50.0)),
    ],
)
def test_edges_are_round_and_part_numbers_evenly(numbers: list[float], edges: tuple[float, ...]) -> None:
    assert find_edges(list(numbers)) == edges


def test_cells_that_should_have_occurred() -> None:
    labels = np.array([(a, b) for a in range(2) for b in range(3) if (a, b) != (1, 2)] * 25)
    assert never_seen(labels, [2, 3], len(labels)) == [{0: 1, 1: 2}]
    assert never_seen(labels, [2, 3], len(labels) // 5) == []  # of as few groups that is chance
    assert never_seen(labels[:30], [2, 3], 30) == []
