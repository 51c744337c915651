"""What every source checks with: CSV text as people write it, and paths that stay inside."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from multitask.data.sources.base import inside
from multitask.data.sources.csv_file import read_csv
from multitask.errors import UserError


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "")
    return file.getvalue()


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
            b'\xc2\xa0id , path\n000020,p\nb,"q, r"\n',
            b'id,path\n000020,p\nb,"q, r"\n,\n , \n',
            'id,path\n000020,p\nb,"q, r"\n'.encode("utf-16"),
            'id,path\n000020,p\nb,"q, r"\n'.encode("utf-32"),
            b'sep=,\nid,path\n000020,p\nb,"q, r"\n',
            b'\n , \nid,path\n000020,p\nb,"q, r"\n',
        ],
        ids=[
            "plain",
            "no last line end",
            "BOM and Windows line ends",
            "blank lines",
            "a header with spaces",
            "the empty rows that Excel leaves",
            "UTF-16",
            "UTF-32",
            "Excel's line that names the delimiter",
            "blank lines before the header",
        ],
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
            (b"id;path\n", ": its cells are separated by semicolons, not commas; save it with commas"),
            (b"sep=;\nid;path\n", ": its cells are separated by semicolons, not commas; save it with commas"),
            (b"x\tid\tpath, of it\n", ": its cells are separated by tabs, not commas"),
            (b"id,path,path\n1,2,3\n", ": has 2 columns 'path'"),
            (b"id,path\na,b\nc\n", ", line 3: must have 2 cells, found 1"),
            (b"id,path\na,b,c\n", ", line 2: must have 2 cells, found 3"),
            (b"id, path\t,path\n1,2,3\n", ": has 2 columns 'path'"),
            (
                b"id,path\na,b\n\xe9,b\n",
                ": is no UTF-8 text (byte 0xe9 in line 3); save it as UTF-8 (in Excel: 'CSV UTF",
            ),
            ("id,path\na,b\n".encode("utf-16-le"), ": is no CSV text, or UTF-16 without its mark: it holds zero bytes"),
            (b"\xff\xfei", ": is no UTF-16 text"),
            (zipped("[Content_Types].xml"), ": is no CSV text but an Excel workbook; save it as 'CSV UTF-8"),
            (zipped("photos/1.jpg"), ": is no CSV text but a zip archive; unpack it"),
            (b"\xd0\xcf\x11\xe0...", ": is no CSV text but an old Excel workbook"),
            (b"PAR1...", ": is no CSV text but a Parquet file; let its name end in .parquet"),
            (b"\x28\xb5\x2f\xfd\0", ": is no CSV text but compressed by zstd; unpack it"),
            (b"BZh9\0", ": is no CSV text but compressed by bzip2; unpack it"),
            (b"<html><body>", ": is no CSV text but an HTML page"),
            (b'id,path\n"a"b,c\n', ": cannot be read as CSV: "),
            (b'id,path\n"a,b\n', ": cannot be read as CSV: "),
        ],
    )
    def test_what_is_malformed_is_one_line_with_the_file(self, table: Path, content: bytes, line: str) -> None:
        with pytest.raises(UserError) as caught:
            rows(table, content)
        assert str(caught.value).startswith(f"{table}{line}")
        assert "\n" not in str(caught.value)

    def test_other_delimiters_and_encodings_are_read_where_they_are_named(self, table: Path) -> None:
        table.write_bytes("id;path\ncafé;김\n".encode())
        assert list(read_csv(table, ("id", "path"), delimiter=";")) == [(2, {"id": "café", "path": "김"})]
        table.write_bytes("id\tpath\n김\tp\n".encode("cp949"))
        assert list(read_csv(table, ("id",), delimiter="\t", encoding="cp949")) == [(2, {"id": "김", "path": "p"})]
        with pytest.raises(UserError, match=r"is no UTF-8 text \(byte .*, or set the source's encoding, as cp1252"):
            list(read_csv(table, ("id",), delimiter="\t", configurable=True))
        with pytest.raises(UserError) as caught:
            list(read_csv(table, ("id",), encoding="cp949", configurable=True))
        assert str(caught.value).endswith('separated by tabs, not commas; set the source\'s delimiter: "\\t"')

    def test_a_missing_file_is_named(self, table: Path) -> None:
        with pytest.raises(UserError, match=r"t\.csv: no such file$"):
            list(read_csv(table, ("id",)))

    def test_a_folder_is_no_table(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="must be a file, found a folder"):
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
        how = "" if path.strip(" ./\0ab") == "" and path[:1] != "/" else "; write it relative to the root"
        assert str(caught.value) == f"here: must be a path inside the data root, found {path!r}{how}"
