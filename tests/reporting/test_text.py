from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import multitask
from multitask.reporting.text import (
    amount_text,
    count_text,
    duration_text,
    interval_text,
    moment_text,
    score_text,
    shorten,
    shorten_each,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.8812, ".881"), (1.0, "1.000"), (0.0, ".000"), (-0.0031, "−.003"), (-0.0001, ".000"), (12.5, "12.500")],
)
def test_score_text(value, text):
    assert score_text(value) == text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_score_text_of_no_score(value):
    assert score_text(value) == "–"


def test_shorten_keeps_both_ends():
    assert shorten("wear/male/<30") == "wear/male/<30"
    short = shorten("x" * 40 + "/<30", 22)
    assert len(short) == 22
    assert short.endswith("/<30")


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b"],
        ["together and consistent", "together and very consistent", "together and hardly consistent"],
        [f"{'x' * 30}{middle}{'y' * 30}" for middle in "abc"],
        ["a of a\nlong  name of one line", "a of a long name of one line"],
    ],
)
def test_names_that_are_shortened_together_stay_apart(names):
    found = shorten_each(names, 20)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    assert max(map(len, found.values())) <= 20


def test_counts():
    assert (count_text(None), count_text(0), count_text(1792)) == ("–", "0", "1,792")


@pytest.mark.parametrize(
    ("interval", "text"), [([0.8, 0.92], ".800 to .920"), (None, ""), ([None, 0.9], ""), ((0.0, 1.0), ".000 to 1.000")]
)
def test_interval_text(interval, text):
    assert interval_text(interval) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-11-23T10:15:00+00:00", "23 November 2026, 10:15 UTC"),
        ("2026-11-23T01:15:00+02:00", "22 November 2026, 23:15 UTC"),
        ("2026-11-03T10:15:00", "3 November 2026, 10:15"),
    ],
)
def test_moment_text(moment, text):
    assert moment_text(moment) == text


@pytest.mark.parametrize(("seconds", "text"), [(22.8, "23 s"), (59.6, "1 min 0 s"), (81, "1 min 21 s")])
def test_duration_text(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(8.312, "8.31"), (18.04, "18.0"), (1240.4, "1,240"), (-0.5213, "−0.521"), (0.0, "0.00"), (0.00123, "0.00123")],
)
def test_amount_text(value, text):
    assert amount_text(value) == text


def test_counts_of_data_are_printed_with_their_thousands_set_apart() -> None:
    package = Path(multitask.__file__).parent
    counts = (
        r"\bnum_(images|groups|people|eval_images|eval_people|portraits|unreadable|batches)$|^len\((train|val|paths)\)$"
    )
    bare = [
        f"{path.relative_to(package)}: {ast.unparse(node.value)}"
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FormattedValue)
        and node.format_spec is None
        and re.search(counts, ast.unparse(node.value))
    ]
    assert bare == []
