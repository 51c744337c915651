"""Groups that are called alike, or unknown, are told of; those of images on their own are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from multitask.data.group_names import group_name_notes
from multitask.data.samples import Samples
from multitask.labels import LabelSpace, Task

SPACE = LabelSpace([Task("mask", ("a", "b"))])


def notes(groups: list[str], images: list[str] | None = None) -> list[str]:
    images = images or [f"{place}.png" for place in range(len(groups))]
    return group_name_notes(Samples.from_values(SPACE, Path("/"), images, groups, {"mask": ["a"] * len(groups)}, "x"))


@pytest.mark.parametrize(
    ("one", "other"),
    [("Anna", "anna"), ("12", "12.0"), ("7", "007"), ("Anna  Lee", "Anna Lee"), ("web/Anna", "web/ANNA")],
)
def test_groups_that_are_called_alike(one: str, other: str) -> None:
    (note,) = notes([one, "bert", other])
    assert note.startswith("groups: 1 name stands for several groups that differ only in upper and lower case")
    assert f"as {one!r} and {other!r}; where they are one, spell them alike" in note


@pytest.mark.parametrize("groups", [["a", "b", "a"], ["web/a", "site/A"], ["1", "10"], ["12.5", "12"], ["a-1", "a-01"]])
def test_groups_that_are_called_otherwise(groups: list[str]) -> None:
    assert notes(groups) == []


def test_images_on_their_own_may_be_called_alike() -> None:
    assert notes(["A.png", "a.png"], ["A.png", "a.png"]) == []


@pytest.mark.parametrize("name", ["NA", "N/A", "-", "unknown", "web/?", "web/n/a"])
def test_a_group_of_all_that_are_unknown(name: str) -> None:
    assert notes([name, "anna", name, name]) == [
        f"groups: 3 images are of the group {name!r}; if that stands for unknown, give each of them a group of its own"
    ]
    assert notes([name, "anna", "bert"]) == []
