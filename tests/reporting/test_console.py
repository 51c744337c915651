from __future__ import annotations

import io

import pytest
from rich.console import Console

from multitask.reporting import console


@pytest.mark.parametrize(
    ("terminal", "bullet", "expected"),
    [
        (True, "  - ", "  - pretrained\n    weights are\n    better\n"),
        (True, "", "pretrained\nweights are\nbetter\n"),
        (False, "  - ", "  - pretrained weights are better\n"),
        (False, "", "pretrained weights are better\n"),
    ],
)
def test_a_sentence_breaks_between_words_in_a_terminal_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, bullet: str, expected: str
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=written, width=15, force_terminal=terminal, color_system=None))
    console.say_wrapped("pretrained weights are better", bullet=bullet)
    assert "".join(line.rstrip() + "\n" for line in written.getvalue().splitlines()) == expected
