from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from multitask.errors import UserError
from multitask.reporting.stored_report import draw_page, reading
from multitask.utils.files import write_atomically
from multitask.utils.records import record_to_json


@dataclass(frozen=True)
class Note:
    words: str


@pytest.mark.parametrize("broken", [lambda: {}["key"], lambda: 3 + "x", lambda: [][0], lambda: None.x, lambda: 1 / 0])
def test_what_cannot_be_shown_of_a_file_is_the_files_fault(broken: Any) -> None:
    with pytest.raises(UserError, match=r"^report\.json: is damaged: "), reading(Path("report.json")):
        broken()


class TestDrawPage:
    def test_it_is_of_what_the_file_holds(self, tmp_path: Path) -> None:
        report, page = tmp_path / "report.json", tmp_path / "page.html"
        write_atomically(report, record_to_json(Note("as it is read")))
        assert draw_page(report, Note, page, lambda note: f"<p>{note.words}</p>") == Note("as it is read")
        assert page.read_text(encoding="utf-8") == "<p>as it is read</p>"

    def test_a_report_that_cannot_be_shown_leaves_the_page_as_it_was(self, tmp_path: Path) -> None:
        report, page = tmp_path / "report.json", tmp_path / "page.html"
        write_atomically(report, record_to_json(Note("x")))
        page.write_text("before")
        with pytest.raises(UserError, match=r"report\.json: is damaged: there is no 'gone'$"):
            draw_page(report, Note, page, lambda note: {}["gone"])
        assert page.read_text() == "before"
