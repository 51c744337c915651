"""What nobody sees makes no other name; what is seen does. What is no number is none."""

from __future__ import annotations

import math
import os
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from multitask.labels import LabelSettings
from multitask.settings import problems
from multitask.utils.spelling import (
    Spellings,
    canonical,
    canonical_path,
    find_file,
    identifier_problem,
    is_missing_word,
    number_hint,
    parse_number,
    plural,
    without_fraction,
)

KOREAN = "김철수"
DECOMPOSED = unicodedata.normalize("NFD", KOREAN)


@pytest.mark.parametrize(
    "typed",
    [
        "anna",
        " anna",
        "anna \t",
        "anna\r\n",
        "anna\u00a0",
        "\ufeffanna",
        "\u200banna\u200b",
        "an\u2060na",
        "\u202aanna\u202c",
        "anna\u3000",
        "anna\u200d",
        "an\u00adna",
    ],
)
def test_what_nobody_sees_makes_no_other_name(typed: str) -> None:
    assert canonical(typed) == "anna"


@pytest.mark.parametrize("name", ["Anna", "anna lee", "anna  lee", "ann", "می\u200cخواهم", "ａｎｎａ", "", "a\u0301b"])
def test_what_is_seen_stays(name: str) -> None:
    assert canonical(name) == unicodedata.normalize("NFC", name)


def test_normal_forms_are_one_name_and_spaces_one_space() -> None:
    assert DECOMPOSED != KOREAN
    assert canonical(DECOMPOSED) == KOREAN
    assert canonical("anna\u00a0lee") == canonical("anna\tlee") == "anna lee"
    assert canonical_path(f"{DECOMPOSED} / a.jpg ") == f"{KOREAN}/a.jpg"


def test_spellings_are_told_once_and_told_apart() -> None:
    spellings = Spellings("who", known=("bert",))
    read = [spellings.read(name) for name in ("anna", "anna ", "Anna", DECOMPOSED, KOREAN, "anna\u00a0", "bert ")]
    assert read == ["anna", "anna", "Anna", KOREAN, KOREAN, "anna", "bert"]
    assert read[0] is read[1] is read[5]
    (note,) = spellings.notes()
    assert note.startswith("who: 3 names are typed in several ways")
    assert "'anna' and 'anna ' and 'anna\\xa0'" in note
    plain = Spellings("who")
    assert [plain.read(name) for name in ("anna ", "anna ", DECOMPOSED)] == ["anna", "anna", KOREAN]
    assert plain.notes() == []  # each is typed in one way


class TestFindFile:
    @pytest.mark.parametrize(
        ("disk", "asked"),
        [
            (f"{DECOMPOSED}/1.jpg", f"{KOREAN}/1.jpg"),
            (f"{KOREAN}/1.jpg", f"{DECOMPOSED}/1.jpg"),
            (f"{KOREAN}/{DECOMPOSED}.jpg", f"{KOREAN}/{KOREAN}.jpg"),
            ("a/1.jpg", "a/1.jpg "),
            ("a/1.jpg ", "a/1.jpg "),
            ("a /1.jpg ", "a/1.jpg"),
            ("a b/1.jpg", "a\u00a0b/1.jpg"),
        ],
    )
    def test_whatever_the_table_types(self, tmp_path: Path, disk: str, asked: str) -> None:
        (tmp_path / disk).parent.mkdir()
        (tmp_path / disk).touch()
        assert os.fsencode(find_file(tmp_path, asked)) == os.fsencode(tmp_path / disk)

    def test_two_that_look_alike_are_told_apart_and_none_is_guessed(self, tmp_path: Path) -> None:
        for name in (KOREAN, DECOMPOSED):
            (tmp_path / name).touch()
            assert find_file(tmp_path, name) == tmp_path / name
        assert find_file(tmp_path, f"{KOREAN} ") == tmp_path / f"{KOREAN} "
        assert find_file(tmp_path, "없다.jpg") == tmp_path / "없다.jpg"
        assert find_file(tmp_path, "없다/1.jpg ") == tmp_path / "없다" / "1.jpg "

    def test_a_folder_that_changes_is_looked_at_again(self, tmp_path: Path) -> None:
        assert not find_file(tmp_path, KOREAN).exists()
        time.sleep(0.02)
        (tmp_path / DECOMPOSED).touch()
        assert find_file(tmp_path, KOREAN).exists()


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), (" 1.5 ", 1.5), ("-3", -3), ("+.5", 0.5), ("1e-3", 0.001), ("2.", 2), ("1e18", 1e18), ("\u00a07", 7)],
)
def test_numbers(text: str, number: float) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "1_000", "1,5", "1e19", "1e999", "0x1", "١", "1 000", "5%"])
def test_what_is_no_number(text: str) -> None:
    assert math.isnan(parse_number(text))


def test_hints() -> None:
    assert number_hint("19,90") == "; write it with a decimal point"
    for text in ("1,234", "-1,234,567.5", "1'234", "1.234.567", "1.234,5"):
        assert number_hint(text) == "; write it without separators of thousands, and with a decimal point"
    assert number_hint("1e300") == "; it must be within 1e+18"
    assert "leave the cell empty" in number_hint("NaN")
    assert number_hint("much") == ""
    assert [without_fraction(text) for text in ("1.0", "2.", "-1.00", "1.5", "1", "a.0")] == [
        "1",
        "2",
        "-1",
        "1.5",
        "1",
        "a.0",
    ]
    assert all(is_missing_word(text) for text in ("nan", "NaN", "NA", "None", "null", "NULL", "#N/A", "<NA>", " nan "))
    assert not any(map(is_missing_word, ("", "no", "nobody", "0")))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("age", None),
        ("나이", None),
        (
            "5_o_Clock_Shadow",
            "a name must not begin with a digit, found '5_o_Clock_Shadow'; call it '_5_o_Clock_Shadow'",
        ),
        (
            "Bags Under-Eyes",
            "a name is made of letters, digits and _, found 'Bags Under-Eyes'; call it 'Bags_Under_Eyes'",
        ),
        ("5 o'clock", "a name must not begin with a digit, found \"5 o'clock\"; call it '_5_o_clock'"),
        ("?", "a name is made of letters, digits and _, found '?'"),
    ],
)
def test_a_name_that_keys_cannot_be_made_of(name: str, line: str | None) -> None:
    assert identifier_problem(name) == line


@pytest.mark.parametrize(
    ("classes", "line"),
    [
        (
            [True, False],
            "labels.tasks.x.classes.0: true is a truth value in YAML, not a name; if it is a name, quote it",
        ),
        (["a", None], "labels.tasks.x.classes.1: null is no value in YAML, not a name; if it is a name, quote it"),
        (
            [0.5, "a"],
            'labels.tasks.x.classes.0: 0.5 is a number in YAML, not a name; quote it as the data has it, as in "',
        ),
        (["anna", "anna "], "labels.tasks.x: class 'anna' stands twice"),
        ([DECOMPOSED, KOREAN], f"labels.tasks.x: class {KOREAN!r} stands twice"),
        ([0, "0"], "labels.tasks.x: class '0' stands twice"),
        ([0], "labels.tasks.x.classes: "),
    ],
)
def test_classes_that_yaml_made_something_else_of(classes: list[Any], line: str) -> None:
    found = problems(LabelSettings, {"tasks": {"x": {"classes": classes}}})
    assert found[0].removeprefix("labels.").startswith(line.removeprefix("labels."))
    assert not any("at least 2 items" in text for text in found) or classes == [0]


def test_classes_and_cells_however_they_are_typed() -> None:
    section = LabelSettings.model_validate(
        {
            "tasks": {"x": {"classes": [0, 1, -1]}, f"{DECOMPOSED} ": {"classes": [" a", DECOMPOSED]}},
            "impossible": [{"x": 0, DECOMPOSED: f"{DECOMPOSED} "}],
        }
    )
    assert section.tasks["x"].classes == ("0", "1", "-1")
    assert section.tasks[KOREAN].classes == ("a", KOREAN)
    assert section.impossible == ({"x": "0", KOREAN: KOREAN},)


def test_a_count_of_one_is_in_the_singular() -> None:
    counts = [plural(number, "class", "classes") for number in (0, 1, 1792)]
    assert counts == ["0 classes", "1 class", "1,792 classes"]
