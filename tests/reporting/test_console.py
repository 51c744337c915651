from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from multitask.reporting import console
from multitask.utils.shared_arrays import KeptFile


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


def test_a_path_that_is_longer_than_a_line_stays_whole_so_that_it_can_be_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=written, width=15, force_terminal=True, color_system=None))
    console.say_wrapped("written: /home/me/runs/first/report.html, at last", bullet="- ")
    assert written.getvalue() == "- written:\n  /home/me/runs/first/report.html,\n  at last\n"


@pytest.mark.parametrize(
    ("terminal", "expected"),
    [(True, "error:\npretrained\nweights are\nmissing\n"), (False, "error: pretrained weights are missing\n")],
)
def test_an_error_is_one_line_for_programs_and_breaks_between_words_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, expected: str
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(console, "_err", Console(file=written, width=15, force_terminal=terminal, color_system=None))
    console.fail("pretrained weights are missing")
    assert written.getvalue() == expected


def test_a_title_wider_than_its_table_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    table = console.make_table("settings that differ", ("", "r"))
    table.add_row("seed", "0")
    console.show_table(table)
    assert capsys.readouterr().out.splitlines()[0] == "settings that differ"


@pytest.mark.parametrize("name", ["[red]", "[/red]", "[link=x]a", ":cat:", "[0, 30)"])
def test_a_name_in_a_table_is_shown_as_it_is(capsys: pytest.CaptureFixture[str], name: str) -> None:
    table = console.make_table(f"of {name}", ("class", name))
    table.add_row(name, "0")
    console.show_table(table)
    title, head, row = capsys.readouterr().out.splitlines()
    assert title == f"of {name}"
    assert head.split("class")[1].strip() == name
    assert row.removesuffix("0").strip() == name


def test_a_kept_file_is_one_row_of_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    shapes = {"features": (2_118_900, 1_280), "pixels": (118_900, 384, 288, 3)}
    kept = [KeptFile(Path(f"{kind}-{'9' * 32}.npy"), kind, shape, 108_540_000, 1.8e9) for kind, shape in shapes.items()]
    console.show_cache(Path("here"), kept, [])
    rows = capsys.readouterr().out.splitlines()[-2:]
    assert [row.split()[0] for row in rows] == ["features", "pixels"]
    assert all("15 January 2027, 08:00" in row for row in rows)


def test_only_files_that_are_there_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "study.html"
    page.touch()
    console.show_paths({"page": page, "best config": tmp_path / "best.yaml"})
    assert capsys.readouterr().out.split() == ["page", str(page)]
