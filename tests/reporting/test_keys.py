"""Keys as Markdown: tables that are whole, whatever stands in a docstring."""

from __future__ import annotations

from multitask.reporting.keys import anchor, keys_markdown
from multitask.settings.keys import Key, Section

ROWS = {"a": "The ``a`` of a < b.\n\nAnd more, 2 ** 3.", "b": "", "c": "", "d": ""}


def test_a_section_is_a_heading_and_a_table() -> None:
    text = keys_markdown(
        [
            Section("", "The ``top`` section: all of it.", keys=[Key("size", "number", None, "None: a | b.")]),
            Section("part", "", keys=[Key("part.<x>.y", "section", "", "", section="part.<x>.y")]),
        ]
    )
    assert text == (
        "### Top level\n\nAll of it.\n\n"
        "| key | type | default | meaning |\n|---|---|---|---|\n"
        "| `size` | number | **required** | `null`: a \\| b. |\n\n"
        "### `part`\n\n"
        "| key | type | default | meaning |\n|---|---|---|---|\n"
        "| `part.<x>.y` | [section](#partxy) | | |\n"
    )


def test_a_table_of_variants_says_which_has_a_key() -> None:
    keys = [
        Key("s.all", "text", "x", ""),
        Key("s.one", "text", "x", "", rows=("a",)),
        Key("s.most", "text", "x", "", rows=("a", "b", "d")),
    ]
    lines = keys_markdown([Section("s", "", "name", "b", ROWS, keys)]).splitlines()
    assert lines[2] == "`s.name` is one of these; where it is left out, `b`."
    assert lines[6] == "| `a` | The `a` of a \\< b. And more, 2 \\*\\* 3. |"
    assert lines[-3:] == [
        "| `s.all` | all | text | `x` | |",
        "| `s.one` | `a` | text | `x` | |",
        "| `s.most` | all but `c` | text | `x` | |",
    ]


def test_an_anchor_is_the_one_of_the_heading() -> None:
    assert anchor("heads.<head>.loss") == "headsheadloss"
    assert anchor("Every key, `x_y`") == "every-key-x_y"
