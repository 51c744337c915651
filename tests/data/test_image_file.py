"""What is opened as an image, and what is not: no program is started, nothing waited for, each fault is one line."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from multitask.data.crop import CentreSettings
from multitask.data.formats import FORMATS, SUFFIXES
from multitask.data.headers import read_header
from multitask.data.images import Preprocessing
from multitask.data.tiff_samples import samples_text
from multitask.errors import UserError

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        Preprocessing((8, 8)).load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_postscript_in_a_jpg_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "started"
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)  # it is looked for anew
    path = tmp_path / "x.jpg"
    path.write_bytes(EPS)
    with pytest.raises(OSError), Image.open(path) as image:  # as the test means it: Pillow by itself starts it
        image.load()
    assert marker.exists()
    marker.unlink()
    assert refused(path).endswith(
        "x.jpg: cannot be read as an image: it is an EPS file, which is not read; save it as PNG or JPEG"
    )
    with pytest.raises(OSError):
        read_header(path)
    assert not marker.exists()


def test_only_named_formats_are_opened(tmp_path: Path) -> None:
    Image.init()
    image = Image.new("RGB", (8, 8), (255, 0, 0))
    tried = 0
    for suffix, form in Image.registered_extensions().items():
        path = tmp_path / f"x{suffix}"
        try:
            image.save(path, form)
        except (OSError, ValueError, KeyError):
            continue
        if form in FORMATS:
            tried += 1
            assert Preprocessing((8, 8)).load(path)[4, 4, 0] > 250
            assert suffix in SUFFIXES
        elif form not in ("MPO", "BUFR", "GRIB", "HDF5", "WMF"):
            assert "cannot be read as an image" in refused(path), form
    assert tried > 10


@pytest.mark.parametrize("suffix", [".png", ".gif", ".txt", ""])
def test_the_content_says_what_a_file_is(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    Image.new("RGB", (8, 8), (255, 0, 0)).save(path, "JPEG")
    assert Preprocessing((8, 8)).load(path)[0, 0, 0] > 250


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"hello", "not an image"),
        (b"<!DOCTYPE html><html>", "it is an HTML file, which is not read; save it as PNG or JPEG"),
        (b"\0\0\0\x18ftypheic\0\0", "it is a HEIC file, which is not read; save it as PNG or JPEG"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of Git LFS; fetch the file"),
        (b"PAR1...", "it is a Parquet file; let its name end in .parquet"),
        (b"PK\x03\x04..", "it is a zip archive; unpack it"),
        (b"\x89PNG\r\n\x1a\n", "it is a PNG file that is damaged, or of a kind that Pillow does not read"),
    ],
)
def test_what_is_no_image_is_told(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    assert f"cannot be read as an image: {reason}" in refused(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    ("shape", "kind", "found"),
    [
        ((8, 8), np.float64, "64-bit floats that"),
        ((8, 8, 3), np.float32, "32-bit floats in 3 channels that"),
    ],
)
def test_of_a_tiff_of_numbers_that_are_not_read_these_are_named(
    tmp_path: Path, shape: tuple[int, ...], kind: type, found: str
) -> None:
    path = tmp_path / "x.tif"
    cv2.imwrite(str(path), np.zeros(shape, dtype=kind))
    line = refused(path)
    assert f"cannot be read as an image: it is a TIFF file of {found} is damaged, or of a kind that Pillow" in line
    assert line.endswith("save it as 32-bit floats or 16-bit whole numbers in 1 channel, or as PNG")
    cv2.imwrite(str(path), np.ones((8, 8), dtype=np.float32))  # what is told to do is read
    assert Preprocessing((8, 8)).load(path)[4, 4, 0] == 255


@pytest.mark.parametrize("data", [b"II*\0", b"II*\0" + b"\xff" * 60, b"MM\0*\0\0\0\x08\0\x01"])
def test_of_a_tiff_whose_header_is_damaged_no_numbers_are_named(data: bytes) -> None:
    assert samples_text(data) is None


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert refused(tmp_path / "pipe.jpg").endswith("pipe.jpg: must be a file, found a pipe (FIFO)")
    (tmp_path / "folder.jpg").mkdir()
    assert refused(tmp_path / "folder.jpg").endswith("folder.jpg: must be a file, found a folder")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    assert refused(tmp_path / "device.jpg").endswith("device.jpg: must be a file, found a device")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.jpg"))
        assert refused(tmp_path / "s.jpg").endswith("s.jpg: must be a file, found a socket")
    with pytest.raises(UserError, match="found a device"):
        read_header(tmp_path / "device.jpg")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_headers_say_the_upright_size_and_crops_are_of_the_upright_image(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    path = tmp_path / f"x.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    values = np.zeros((10, 20, 3), dtype=np.uint8)
    values[:, :10] = 255  # the left half, as it is stored
    Image.fromarray(values).save(path, exif=exif)
    header = read_header(path)
    assert (header.width_px, header.height_px) == ((10, 20) if orientation > 4 else (20, 10))
    assert not header.several
    # A fixed part is a part of the upright image.
    part = Preprocessing((8, 8), CentreSettings(left=0.0, top=0.0, right=0.25, bottom=0.25)).load(path)
    expected = {1: 255, 2: 0, 3: 0, 4: 255, 5: 255, 6: 255, 7: 0, 8: 0}[orientation]
    assert abs(int(part[1, 1, 0]) - expected) < 9
