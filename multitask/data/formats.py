"""The image formats that are read, and the magic bytes by which files are told apart without opening them."""

from __future__ import annotations

from multitask.data.other_files import HEAD_BYTES, other_kind

WHITE = (255, 255, 255)
"""RGB, behind transparent pixels where nothing else is said."""

_SUFFIXES_OF = {
    "JPEG": ".jpg .jpeg .jpe .jfif",
    "PNG": ".png .apng",
    "GIF": ".gif",
    "BMP": ".bmp",
    "DIB": ".dib",
    "TIFF": ".tif .tiff",
    "WEBP": ".webp",
    "AVIF": ".avif .avifs",
    "PPM": ".ppm .pgm .pbm .pnm .pfm",
    "JPEG2000": ".jp2 .j2k .jpf .jpx .j2c .jpc",
}
FORMATS = tuple(_SUFFIXES_OF)
"""Those that Pillow may try, whatever a file is called. Of others some start programs (EPS: Ghostscript)."""
SUFFIXES = frozenset(" ".join(_SUFFIXES_OF.values()).split())
"""Of files that are taken for images where a source looks through folders, in lower case."""
SUFFIXES_TEXT = ".jpg, .png, .gif, .bmp, .tif, .webp, .avif, .ppm, .jp2 and their other spellings"

_UNREAD = (
    ".heic .heif .hif .jxl .jxr",  # photographs
    ".dng .raw .cr2 .cr3 .nef .arw .orf .rw2 .raf .pef .srw",  # what cameras' sensors saw
    ".svg .eps .ps .ai .psd .xcf .wmf .emf",  # drawings
    ".tga .ico .icns .cur .pcx .qoi .sgi .dds .exr .hdr .dcm .nii .fits",
)
UNREAD_SUFFIXES = frozenset(" ".join(_UNREAD).split())
"""Of files that hold images in a way that is not read; who has them among others must hear of it."""

_MAGIC = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (8, b"WEBP", "WEBP"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (0, b"\0\0\0\x0cjP", "JPEG2000"),
    (0, b"II+\0", "BigTIFF"),
    (0, b"MM\0+", "BigTIFF"),
    (0, b"\0\0\0\x0cJXL", "JPEG XL"),
    (0, b"8BPS", "PSD"),
    (0, b"%!PS", "EPS"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (0, b"<!DOCTYPE", "HTML"),
    (0, b"<html", "HTML"),
    (0, b"version https://git-lfs", "Git LFS pointer"),
)
MAGIC_BYTES = 32
"""Bytes at the beginning of a file that tell its format."""


def sniff(head: bytes) -> str | None:
    """The format of a file by its first ``MAGIC_BYTES`` bytes, as ``PNG``; None: no known format."""
    return next((name for start, magic, name in _MAGIC if head[start:].startswith(magic)), None)


def why_unread(data: bytes) -> str:
    """The reason why Pillow does not open a file as an image, in a few words."""
    if not data:
        return "it is empty"
    found = sniff(data[:MAGIC_BYTES])
    if found == "Git LFS pointer":
        return "it is a pointer of Git LFS; fetch the file with `git lfs pull`"
    if found is None:
        what = other_kind(data[:HEAD_BYTES])
        return "not an image" if what is None else f"it is {what}"
    article = "an" if found[0] in "AEH" and found != "HEIC" else "a"
    if found in FORMATS:
        return f"it is {article} {found} file that is damaged, or of a kind that Pillow does not read"
    return f"it is {article} {found} file, which is not read; save it as PNG or JPEG"
