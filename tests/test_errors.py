from __future__ import annotations

import pickle

from multitask.errors import MAX_LINE, UserError, printable, quoted


def test_short_messages_stand_as_they_are() -> None:
    assert str(UserError("a.b: must be 1, found 2")) == "a.b: must be 1, found 2"
    assert str(UserError("x" * MAX_LINE)) == "x" * MAX_LINE
    assert str(pickle.loads(pickle.dumps(UserError("a: b")))) == "a: b"


def test_a_long_message_keeps_what_is_wrong_and_how_to_go_on() -> None:
    message = str(UserError("heads.age: there is no head " + "x" * 1_000_000 + "; did you mean 'age'?"))
    assert message.startswith("heads.age: there is no head xxx")
    assert "characters left out]" in message
    assert message.endswith("; did you mean 'age'?")
    assert len(message) < MAX_LINE + 50


def test_quoted_is_repr_up_to_a_length() -> None:
    assert quoted("it's") == repr("it's")
    assert quoted([1, {"a": None}]) == "[1, {'a': None}]"
    assert quoted("y" * 5000) == "'" + "y" * 199 + "... (5,002 characters)"


def test_printable_is_one_line_that_cannot_move_the_cursor() -> None:
    assert printable("a\n  b\tc") == "a b c"
    assert printable("red \x1b[31m\x07 and \u202eback, 가 é") == r"red \x1b[31m\x07 and \u202eback, 가 é"
