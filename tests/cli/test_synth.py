"""``synth --portraits``: what it says, and what it refuses with nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Called
from tests.data.synthetic.portraits.conftest import masks, table

__all__ = ["masks", "table"]

Call = Callable[..., Called]
Table = Callable[..., Path]
SMALL = ("--size", 32, 40)


def test_makes_a_set_and_names_who_was_passed_over(call: Call, table: Table, masks: Path, tmp_path: Path) -> None:
    def blind(rows: list[dict[str, object]]) -> None:
        for column in list(rows[0])[3:]:
            rows[4][column] = ""

    done = call("synth", tmp_path / "set", "--portraits", table(change=blind), "--masks", masks, *SMALL)
    assert done.code == 0, done.err
    assert "1 portrait passed over, since no face is seen from the front: 004.png (skipped.csv)" in done.out
    assert "28 images of 4 people to train on, 7 of 1 other to answer" in done.out
    assert (tmp_path / "set" / "answers.csv").is_file()


def test_quiet_mix_and_eval_people(call: Call, table: Table, masks: Path, tmp_path: Path) -> None:
    words = ("--people", 4, "--eval-people", 2, "--mix", "1,0,0,0,1,0", "--workers", 2, "--quiet", *SMALL)
    done = call("synth", tmp_path / "set", "--portraits", table(3), "--masks", masks, *words)
    assert (done.code, done.out, done.err) == (0, "", "")
    rows = (tmp_path / "set/train/train.csv").read_text().splitlines()[1:]
    assert sorted(row.split(",")[1:4:2] for row in rows) == [["female", "50"]] * 2 + [["male", "20"]] * 2


def test_eval_people_of_drawn_sets(call: Call, tmp_path: Path) -> None:
    done = call("synth", tmp_path / "set", "--people", 1, "--eval-people", 2)
    assert "7 images of 1 person to train on, 14 of 2 others to answer" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--people", 4, "--masks", "x"), "--masks: would be ignored without --portraits"),
        (("--people", 4, "--no-face", "fail"), "--no-face: would be ignored without --portraits"),
        ((), "--people: say how many to draw"),
        (("--portraits", "TABLE"), "--masks: name the folder of mask templates"),
        (("--portraits", "TABLE", "--masks", "MASKS", "--noise", 0.1), "--noise: is of drawn people"),
        (("--portraits", "TABLE", "--masks", "MASKS", "--yunet", "no.onnx"), "--yunet: would be ignored: "),
        (("--portraits", "TABLE", "--masks", "MASKS", "--mix", "competition"), "--mix: needs --people"),
        (("--portraits", "TABLE", "--masks", "MASKS", "--people", 2, "--mix", "1,2"), "--mix: must be `competition`"),
        (("--portraits", "TABLE", "--masks", "MASKS", "--people", 2, "--mix", "0,0,0,0,0,0"), "--mix: must be"),
        (("--portraits", "TABLE", "--masks", "MASKS", "--people", 2, "--mix", "nan,1,1,1,1,1"), "--mix: must be"),
        (("--portraits", "no.csv", "--masks", "MASKS"), "no.csv: no such file"),
        (("--portraits", "TABLE", "--masks", "PHOTOS"), "has no transparent ground"),
    ],
)  # fmt: skip
def test_refusals(
    call: Call, table: Table, masks: Path, tmp_path: Path, words: tuple[object, ...], message: str
) -> None:
    places = {"TABLE": table(), "MASKS": masks, "PHOTOS": table().parent}
    said = call("synth", tmp_path / "set", *(places.get(str(word), word) for word in words)).refusal()
    assert message in said
    assert not list(tmp_path.glob("*set*"))


def test_landmarks_need_a_detector_that_is_one(call: Call, table: Table, masks: Path, tmp_path: Path) -> None:
    def strip(rows: list[dict[str, object]]) -> None:
        for row in rows:
            for column in list(row)[3:]:
                del row[column]

    words = ("synth", tmp_path / "set", "--portraits", table(change=strip), "--masks", masks)
    assert "--yunet: name YuNet's ONNX file" in call(*words).refusal()
    assert "no.onnx: cannot be read: No such file" in call(*words, "--yunet", "no.onnx").refusal()
    (tmp_path / "other.onnx").write_bytes(b"no model")
    assert "is not YuNet" in call(*words, "--yunet", tmp_path / "other.onnx").refusal()
    assert not list(tmp_path.glob("*set*"))
