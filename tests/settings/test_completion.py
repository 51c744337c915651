"""Keys and values of ``--set`` are completed by what the config says."""

from __future__ import annotations

import pytest

from multitask.config import Config
from multitask.settings.completion import complete_setting

DATA = {
    "labels": {"tasks": {"hue": {"classes": ["red", "blue"]}}},
    "heads": {"hue": {"loss": {"name": "focal"}}, "cut": {}},
}


def complete(begun: str) -> list[str]:
    return [whole for whole, _ in complete_setting(Config, DATA, begun)]


@pytest.mark.parametrize(
    ("begun", "found"),
    [
        ("see", ["seed="]),
        ("tr", ["training.", "tracking="]),
        ("heads.", ["heads.hue.", "heads.cut."]),
        ("heads.hue.l", ["heads.hue.loss."]),
        ("heads.hue.loss.ga", ["heads.hue.loss.gamma="]),  # of focal, which the config names
        ("heads.cut.loss.ga", []),  # the default has none
        ("heads.hue.loss.name=foc", ["heads.hue.loss.name=focal"]),
        ("heads.hue.loss=foc", ["heads.hue.loss=focal"]),
        ("data.fit=", ["data.fit=crop", "data.fit=pad", "data.fit=stretch"]),
        ("labels.tasks.hue.per_group=", [f"labels.tasks.hue.per_group={word}" for word in ("true", "false", "null")]),
        ("nothing.of.it=", []),
        ("seed.of.", []),
        ("seed=", []),
    ],
)
def test_the_next_part_or_the_value(begun: str, found: list[str]) -> None:
    assert complete(begun) == found


def test_each_comes_with_the_first_line_of_its_docstring() -> None:
    assert complete_setting(Config, {}, "seed") == [("seed=", "The seed that every random choice derives from.")]


@pytest.mark.parametrize("data", [{}, {"heads": 3}, {"heads": ["hue"]}, {"data": {"source": {"name": "none"}}}])
def test_a_config_that_is_wrong_is_no_hindrance(data: dict[str, object]) -> None:
    assert complete_setting(Config, data, "heads.") == []
    assert ("training.", "") in [(whole, "") for whole, _ in complete_setting(Config, data, "t")]
    assert complete_setting(Config, data, "data.source.xyz") == []
