"""What every source checks with: CSV text as people write it, and paths that stay inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from multitask.data.sources.base import inside, read_csv
from multitask.errors import UserError


def rows(path: Path, content: bytes) -> list[tuple[int, dict[str, str]]]:
    path.write_bytes(content)
    return list(read_csv(path, ("id", "path")))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


class TestReadCsv:
    EXPECTED = [{"id": "000020", "path": "p"}, {"id": "b", "path": "q, r"}]

    @pytest.mark.parametrize(
        "content",
        [
            b'id,path\n000020,p\nb,"q, r"\n',
            b'id,path\n000020,p\nb,"q, r"',
            b'\xef\xbb\xbfid,path\r\n000020,p\r\nb,"q, r"\r\n',
            b'id,path\n\n000020,p\n\n\nb,"q, r"\n\n',
        ],
        ids=["plain", "no last line end", "BOM and Windows line ends", "blank lines"],
    )
    def test_text_as_people_write_it(self, table: Path, content: bytes) -> None:
        assert [row for _, row in rows(table, content)] == self.EXPECTED

    def test_lines_are_counted_as_an_editor_counts_them(self, table: Path) -> None:
        assert [line for line, _ in rows(table, b"id,path\n\na,b\r\n\r\nc,d\n")] == [3, 5]

    def test_more_columns_in_any_order(self, table: Path) -> None:
        assert rows(table, b"x,path,id\n1,2,3\n") == [(2, {"x": "1", "path": "2", "id": "3"})]

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            (b"", ": is empty; its first line must name the columns id, path"),
            (b"id,pathh\n", ": has no column 'path'; did you mean 'pathh'?"),
            (b"id;path\n", ": has no column 'id'; it can be 'id;path'"),
            (b"id,path,path\n1,2,3\n", ": has 2 columns 'path'"),
            (b"id,path\na,b\nc\n", ", line 3: must have 2 cells, found 1"),
            (b"id,path\na,b,c\n", ", line 2: must have 2 cells, found 3"),
            (b"id,path\n\xff\xfe,b\n", ": cannot be read as CSV: 'utf-8' codec can't decode"),
            (b'id,path\n"a"b,c\n', ": cannot be read as CSV: "),
            (b'id,path\n"a,b\n', ": cannot be read as CSV: "),
        ],
    )
    def test_what_is_malformed_is_one_line_with_the_file(self, table: Path, content: bytes, line: str) -> None:
        with pytest.raises(UserError) as caught:
            rows(table, content)
        assert str(caught.value).startswith(f"{table}{line}")
        assert "\n" not in str(caught.value)

    def test_a_missing_file_is_named(self, table: Path) -> None:
        with pytest.raises(UserError, match=r"t\.csv: no such file$"):
            list(read_csv(table, ("id",)))

    def test_a_folder_is_no_table(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"cannot be read as CSV: "):
            list(read_csv(tmp_path, ("id",)))


class TestInside:
    @pytest.mark.parametrize(
        ("path", "plain"),
        [
            ("a", "a"),
            ("a/b.jpg", "a/b.jpg"),
            ("003397_male_Asian_20", "003397_male_Asian_20"),
            ("a b", "a b"),
            ("..a", "..a"),
            ("a..", "a.."),
            ("./a", "a"),
            ("a/", "a"),
            ("a//b/.", "a/b"),
        ],
    )
    def test_a_path_inside_comes_back_in_its_plainest_spelling(self, path: str, plain: str) -> None:
        assert inside(path, "here") == plain

    @pytest.mark.parametrize(
        "path",
        ["../x", "..", "a/..", "a/../../b", "a\\..\\b", "..\\x"],
    )
    def test_one_that_leaves_is_refused(self, path: str) -> None:
        with pytest.raises(UserError) as caught:
            inside(path, "here")
        assert str(caught.value) == f"here: leaves the data root: {path!r}"

    @pytest.mark.parametrize(
        "path", ["", " ", ".", "./", "/abs", "//a", "C:\\x", "C:x", "\\x", "\\\\srv\\s\\x", "a\0b"]
    )
    def test_one_that_is_absolute_or_empty_is_refused(self, path: str) -> None:
        with pytest.raises(UserError) as caught:
            inside(path, "here")
        assert str(caught.value) == f"here: must be a path inside the data root, found {path!r}"
