"""YAML: 1.2's words and numbers, one line for what is none, and the same again when it is written."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitask.errors import UserError
from multitask.settings import Located
from multitask.settings.yaml_text import dump_yaml, parse_yaml, read_yaml

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8) | st.sampled_from(
    ["no", "yes", "1e3", "1e-3", "000020", "0x1F", "~", "null", "true", "2001-01-01", "=", "<<", "1.", ".5", "- a"]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words
sections = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=12
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("2.0e-3", 0.002),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1.5", -1.5),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("000020", "000020"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("2001-01-01", "2001-01-01"),
        ("2001-99-99", "2001-99-99"),
        ("=", "="),
        ("'1'", "1"),
    ],
)
def test_words_and_numbers_are_yaml_1_2s(text: str, value: object) -> None:
    found = parse_yaml(f"a: {text}", "here")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml, line 3, column 1: not YAML: key 'a' stands twice"),
        ("a:\n  b: 1\n  b: 2\n", "f.yaml, line 3, column 3: not YAML: key 'b' stands twice"),
        ("a: {b: 1, b: 1}", "f.yaml, line 1, column 11: not YAML: key 'b' stands twice"),
        ("a: [1, 2\nb: 3", "f.yaml, line 2, column 2: not YAML: "),
        ("a: b: c", "f.yaml, line 1, column 5: not YAML: mapping values are not allowed here"),
        ("\t- x", "f.yaml, line 1, column 1: not YAML: found character '\\t' that cannot start any token"),
        ("[a]: 1", "f.yaml, line 1, column 1: not YAML: found unhashable key"),
        ("a: !!python/object/apply:os.system [ls]", "f.yaml, line 1, column 4: not YAML: could not determine"),
        ("a: " + "9" * 5000, "f.yaml, line 1, column 4: not YAML: cannot be read as int: '99999"),
        ("a: !!int ''", "f.yaml, line 1, column 4: not YAML: cannot be read as int: ''"),
        ("a: !!float ''", "f.yaml, line 1, column 4: not YAML: cannot be read as float: ''"),
        ("b:\n  a: !!bool abc", "f.yaml, line 2, column 6: not YAML: cannot be read as bool: 'abc'"),
        ("a: !!map [1]", "f.yaml, line 1, column 4: not YAML: could not determine what a list is as !!map; leave"),
        ("a: !!seq {b: 1}", "f.yaml, line 1, column 4: not YAML: could not determine what a section is as !!seq"),
        ("a: !!set {b, c}", "f.yaml, line 1, column 4: not YAML: could not determine what a section is as !!set"),
        ("a: !!omap [b: 1]", "f.yaml, line 1, column 4: not YAML: could not determine what a list is as !!omap"),
        ("a: !!timestamp x", "f.yaml, line 1, column 4: not YAML: could not determine what a value is as !!timestamp"),
        ("a: !!binary x", "f.yaml, line 1, column 4: not YAML: could not determine what a value is as !!binary"),
        ('a: "\\ud800"', "f.yaml, line 1, column 4: not YAML: holds one half of a surrogate pair"),
        ("a: &x [*x]", "f.yaml, line 1, column 8: not YAML: the alias *x stands within what it names"),
        ("a: &x {b: {c: *x}}", "f.yaml, line 1, column 15: not YAML: the alias *x stands within what it names"),
        ("a: &x {<<: *x}", "f.yaml, line 1, column 12: not YAML: the alias *x stands within what it names"),
        ("[" * 3000 + "]" * 3000, "f.yaml, line 1, column 101: not YAML: nested more than 100 deep"),
        ("- " * 400 + "x", "f.yaml, line 1, column 201: not YAML: nested more than 100 deep"),
        ("{a: " * 101 + "1" + "}" * 101, "f.yaml, line 1, column 398: not YAML: nested more than 100 deep"),
        ("\x00", "f.yaml: not YAML: "),
    ],
)
def test_what_is_no_yaml_is_one_line_with_the_place(text: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_yaml(text, "f.yaml")
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def bomb(levels: int) -> str:
    """Lists of ten aliases of the list before: 10 ** levels values in so many lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize("text", [bomb(12), "a: &a {k: &b [" + "1, " * 1000 + "]}\nb: [" + "*a, " * 100 + "]"])
def test_aliases_of_aliases_are_refused_before_they_are_written_out(text: str) -> None:
    began = time.process_time()
    with pytest.raises(UserError, match="not YAML: aliases repeat more than 100,000 values"):
        parse_yaml(text, "f.yaml")
    assert time.process_time() - began < 5


def test_within_the_limits_aliases_depth_and_tags_are_yaml_as_ever() -> None:
    found = parse_yaml(bomb(4), "f.yaml")
    assert len(found["a3"]) == 10
    assert found["a3"][9][9] == found["a1"]
    assert parse_yaml("a: &x {b: 1}\nc: {<<: *x, d: 2}\ne: *x", "f") == {
        "a": {"b": 1},
        "c": {"b": 1, "d": 2},
        "e": {"b": 1},
    }
    assert parse_yaml("{a: !!str 1, b: !!int '2', c: !!float 1, d: !!map {}, e: !!seq [1], f: ! x}", "f") == {
        "a": "1", "b": 2, "c": 1.0, "d": {}, "e": [1], "f": "x"
    }  # fmt: skip
    deep = parse_yaml("[" * 99 + "x" + "]" * 99, "f")
    for _ in range(99):
        (deep,) = deep
    assert deep == "x"


def test_more_text_than_any_config_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multitask.settings.yaml_text.MAX_CHARACTERS", 100)
    path = tmp_path / "long.yaml"
    path.write_text("a: 1 # " + "x" * 93)
    assert read_yaml(path) == {"a": 1}
    path.write_text("a: 1 # " + "x" * 94)
    with pytest.raises(UserError, match=r"long\.yaml: must have at most 100 characters$"):
        read_yaml(path)
    with pytest.raises(UserError, match=r"/dev/zero: must be a file, found a device$"):
        read_yaml(Path("/dev/zero"))  # which never ends


def test_merged_keys_are_yaml_too_and_may_be_set_anew() -> None:
    data = parse_yaml("a: &a {x: 1, y: 2}\nb: &b\n  <<: *a\n  x: 3\nc: {<<: *b, z: 4}", "here")
    assert data == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 3, "y": 2, "z": 4}}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with pytest.raises(UserError, match=r"c\.yaml: no such file$"):
        read_yaml(path)
    path.write_text("- a\n- b\n")
    with pytest.raises(UserError, match=r"c\.yaml: must hold keys and values, found a list$"):
        read_yaml(path)
    path.write_text("")
    with pytest.raises(UserError, match=r"c\.yaml: must hold keys and values, found nothing$"):
        read_yaml(path)
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(UserError, match=r"c\.yaml: cannot be read: 'utf-8' codec"):
        read_yaml(path)
    with pytest.raises(UserError, match=r": must be a file, found a folder$"):
        read_yaml(tmp_path)


@given(st.dictionaries(words, sections, max_size=4))
@settings(deadline=None, max_examples=150)
def test_what_is_written_reads_back_as_the_same(data: dict[str, Any]) -> None:
    text = dump_yaml(data)
    assert parse_yaml(text, "here") == data
    assert dump_yaml(parse_yaml(text, "here")) == text  # types too: 1 == 1.0 == True


def test_a_marked_word_is_written_as_a_word() -> None:
    assert dump_yaml({"a": Located("no", Path("/")), "b": [math.nan]}) == "a: no\nb: [.nan]\n"
