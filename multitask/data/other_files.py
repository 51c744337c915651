"""Kinds of files that are neither images nor tables, told by how they begin, and what to do with each."""

from __future__ import annotations

HEAD_BYTES = 1024
"""Bytes at the beginning of a file that tell its kind."""

_SAVE = "save it as 'CSV UTF-8 (comma delimited)'"
_OTHER_FILES = {
    b"\xd0\xcf\x11\xe0": f"an old Excel workbook; {_SAVE}",
    b"PAR1": "a Parquet file; let its name end in .parquet",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"BZh": "compressed by bzip2; unpack it",
    b"\xfd7zXZ": "compressed by xz; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it",
    b"ARROW1": "a Feather (Arrow) file; write it as Parquet",
    b"\xff\xff\xff\xff": "an Arrow stream, as Hugging Face datasets are kept; name their folder to `multitask init`",
    b"<!DOCTYPE": "an HTML page",
    b"<html": "an HTML page",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file with `git lfs pull`",
}
_ZIP = b"PK\x03\x04"
_OF_WORKBOOKS = (b"[Content_Types].xml", b"_rels/", b"docProps/", b"xl/", b"mimetypeapplication/vnd.oasis")
"""What the first file in a zip archive is called that is a workbook."""
_NAME_OF_FIRST, _NAME_OF_TAR = 30, 257
"""The bytes behind which, in a zip archive, its first file's name begins, and in a tar archive the format's."""


def other_kind(head: bytes) -> str | None:
    """What a file is, with an article, and what to do with it; None: of no kind that is known.

    >>> other_kind(b"PAR1...")
    'a Parquet file; let its name end in .parquet'

    Args:
        head: its first ``HEAD_BYTES`` bytes.
    """
    if head.startswith(_ZIP):
        is_workbook = head[_NAME_OF_FIRST:].startswith(_OF_WORKBOOKS)
        return f"an Excel workbook; {_SAVE}" if is_workbook else "a zip archive; unpack it"
    if head[_NAME_OF_TAR:].startswith(b"ustar"):
        return "a tar archive; unpack it"
    return next((what for begin, what in _OTHER_FILES.items() if head.startswith(begin)), None)
