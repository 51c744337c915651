"""Numbers in TIFFs that Pillow by itself takes for others."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from multitask.data.colours import Decoding
from multitask.data.images import Preprocessing
from multitask.errors import UserError

HEIGHT, WIDTH = 16, 32
GREY = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))


def write(path: Path, planes: NDArray[Any], bits: int, kind: int = 1, photometric: int = 1, planar: int = 1) -> Path:
    """A TIFF without compression of (C, H, W'), each plane behind the other."""
    num, place = len(planes), planes.dtype.byteorder != ">"
    order, size = "<" if place else ">", planes[0].nbytes
    tags = {
        256: [WIDTH],
        257: [HEIGHT],
        258: [bits] * num,
        259: [1],
        262: [photometric],
        273: [8 + index * size for index in range(num)],
        277: [num],
        278: [HEIGHT],
        279: [size] * num,
        284: [planar],
        339: [kind] * num,
    }
    start = 8 + planes.nbytes
    entries, rest = b"", b""
    for tag, values in tags.items():
        packed = struct.pack(f"{order}{num if len(values) > 1 else 1}H", *values)
        if len(packed) > 4:
            packed, rest = struct.pack(f"{order}I", start + 2 + 12 * len(tags) + 4 + len(rest)), rest + packed
        entries += struct.pack(f"{order}HHI", tag, 3, len(values)) + packed.ljust(4, b"\0")
    head = struct.pack(f"{order}2sHI", b"II" if place else b"MM", 42, start)
    path.write_bytes(head + planes.tobytes() + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + rest)
    return path


def in_12_bits(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    wide = values.astype(np.uint16) << 4
    left, right = wide[:, ::2], wide[:, 1::2]
    packed = np.stack([left >> 4, (left & 15) << 4 | right >> 8, right & 255], axis=2)
    return packed.astype(np.uint8).reshape(HEIGHT, -1)


def load(path: Path, value_range: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    preprocessing = Preprocessing((HEIGHT, WIDTH), decoding=Decoding(value_range=value_range))
    pixels = preprocessing.load(path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(preprocessing.convert(image, "x"), pixels)
    return pixels


def assert_grey(pixels: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(pixels, np.repeat(GREY[..., None], 3, axis=2))


def test_12_bits_are_0_to_4095(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", in_12_bits(GREY)[None], 12)
    assert_grey(load(path))
    assert_grey(load(path, (0.0, 4080.0)))


def test_signed_8_bit_values_are_refused_until_their_range_is_set(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", (GREY.astype(int) - 128).astype(np.int8)[None], 8, kind=2)
    with pytest.raises(UserError, match=r"signed or 32-bit whole numbers \(from -128 to 127\), whose range nothing"):
        load(path)
    assert_grey(load(path, (-128.0, 127.0)))


def test_unsigned_32_bit_values_beyond_2_to_the_31_are_not_negative(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", (GREY.astype(np.uint32) << 24)[None], 32)
    with pytest.raises(UserError, match=r"\(from 0 to 4\.\d+e\+09\), whose range nothing tells"):
        load(path)
    assert_grey(load(path, (0.0, float(255 << 24))))


@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2"])
def test_colours_in_planes_of_their_own(tmp_path: Path, kind: str) -> None:
    values = GREY if kind == "u1" else GREY.astype(np.uint16) * 257
    planes = np.stack([values, values // 2, values // 4]).astype(kind)
    pixels = load(write(tmp_path / "x.tif", planes, 8 * planes.itemsize, photometric=2, planar=2))
    np.testing.assert_array_equal(pixels, np.stack([GREY, GREY // 2, GREY // 4], axis=2))


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_plane_of_its_own_says_nothing_of_one_channel(tmp_path: Path, kind: type, photometric: int) -> None:
    most = np.iinfo(kind).max
    values: NDArray[Any] = (GREY.astype(kind) * (most // 255)).astype(kind)
    planes = (values if photometric else most - values)[None]
    assert_grey(load(write(tmp_path / "x.tif", planes, most.bit_length(), 1, photometric, planar=2)))
