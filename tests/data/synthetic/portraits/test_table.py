"""The table of portraits, and what of it is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multitask.data.synthetic.portraits.table import POINTS, read_portraits
from multitask.errors import UserError
from tests.data.synthetic.portraits.conftest import LANDMARKS

Table = Callable[..., Path]


def test_rows_with_landmarks(table: Table) -> None:
    portraits = read_portraits(table())
    assert [(p.row, p.gender, p.age) for p in portraits[:4]] == [
        (0, "male", 20), (1, "male", 40), (2, "male", 70), (3, "female", 25)
    ]  # fmt: skip
    assert portraits[0].points is not None
    assert (portraits[0].points == LANDMARKS).all()


def test_parquet_is_read_alike(table: Table) -> None:
    pd = pytest.importorskip("pandas")
    path = table()
    pd.read_csv(path).to_parquet(path.with_suffix(".parquet"))
    given, again = read_portraits(path), read_portraits(path.with_suffix(".parquet"))
    assert [(p.path, p.gender, p.age, p.points.tolist()) for p in given if p.points is not None] == [
        (p.path, p.gender, p.age, p.points.tolist()) for p in again if p.points is not None
    ]


@pytest.mark.parametrize("word", ["F", " Female ", "woman"])
def test_spellings_of_a_gender(table: Table, word: str) -> None:
    assert read_portraits(table(change=lambda rows: rows[0].update(gender=word)))[0].gender == "female"


def without(*columns: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            for column in columns:
                del row[column]

    return change


def test_landmarks_may_be_missing(table: Table) -> None:
    assert all(portrait.points is None for portrait in read_portraits(table(change=without(*POINTS))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("age"), r"people\.csv: has no column 'age'; it can be 'path', 'gender', "),
        (without("nose_y"), r"has some of the ten columns of landmarks, but not 'nose_y'$"),
        (lambda rows: rows[1].update(gender="mann"), r"line 3: gender: must be male or female, found 'mann'"),
        (lambda rows: rows[1].update(gender=""), r"line 3: gender: must be male or female, found ''$"),
        (lambda rows: rows[1].update(age="old"), r"line 3: age: must be a number, found 'old'$"),
        (lambda rows: rows[1].update(age="20-29"), r"line 3: age: must be a number, found '20-29'"),
        (lambda rows: rows[1].update(age=""), r"line 3: age: must be a number of years from 0 to 120, found ''$"),
        (lambda rows: rows[1].update(age=130), r"line 3: age: must be a number of years from 0 to 120, found '130'$"),
        (lambda rows: rows[1].update(path="no.png"), r"line 3: path: \S+no\.png: no such file$"),
        (lambda rows: rows[1].update(path=""), r"line 3: path: is empty$"),
        (lambda rows: rows[1].update(path="000.png"), r"line 3: path: 000\.png stands in line 2 too$"),
        (lambda rows: rows[1].update(nose_x=""), r"line 3: nose_x: is empty, where other landmarks are known$"),
        (lambda rows: rows[1].update(right_eye_x=74, left_eye_x=46), r"line 3: right_eye_x to left_mouth_y: are no"),
    ],
)  # fmt: skip
def test_refusals(table: Table, change: Callable[[list[dict[str, Any]]], None], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_portraits(table(change=change))


def test_a_table_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("path,age,gender\n")
    with pytest.raises(UserError, match=r"people\.csv: holds no rows$"):
        read_portraits(path)
